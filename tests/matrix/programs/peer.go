// A TLS peer on Go's own library: serves sites and makes calls, as the lines on its stdin say.
package main

import (
	"bufio"
	"bytes"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"strings"
	"sync"
	"time"
)

const (
	oddCipher, oddALPN, oddSNI = "no common cipher", "no common ALPN", "SNI refused"
	answer                     = "HTTP/1.1 200 OK\r\nContent-Length: 5\r\nConnection: close\r\n\r\nhello"
	deadline                   = 20 * time.Second
)

var (
	versions = map[string]uint16{"1.2": tls.VersionTLS12, "1.3": tls.VersionTLS13}
	printing sync.Mutex
)

func say(id, text string) {
	printing.Lock()
	defer printing.Unlock()
	fmt.Printf("%s\t%s\n", id, strings.Join(strings.Fields(text), " "))
}

func pool(path string) (*x509.CertPool, error) {
	if path == "" {
		return nil, nil
	}
	content, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	found := x509.NewCertPool()
	found.AppendCertsFromPEM(content)
	return found, nil
}

func settings(fields map[string]string) (*tls.Config, error) {
	config := &tls.Config{MinVersion: versions[fields["min"]], MaxVersion: versions[fields["max"]]}
	if fields["cert"] != "" {
		pair, err := tls.LoadX509KeyPair(fields["cert"], fields["key"])
		if err != nil {
			return nil, err
		}
		config.Certificates = []tls.Certificate{pair}
		// as curl and OpenSSL do: what we have is shown, whatever CA names the server lists
		config.GetClientCertificate = func(*tls.CertificateRequestInfo) (*tls.Certificate, error) { return &pair, nil }
	}
	if fields["odd"] == oddCipher {
		config.CipherSuites = []uint16{tls.TLS_ECDHE_ECDSA_WITH_AES_128_CBC_SHA}
	}
	if fields["odd"] == oddALPN {
		config.NextProtos = []string{"http/1.1"}
	}
	return config, nil
}

func serve(fields map[string]string) error {
	config, err := settings(fields)
	if err != nil {
		return err
	}
	if config.ClientCAs, err = pool(fields["ca"]); err != nil {
		return err
	}
	if config.ClientCAs != nil {
		config.ClientAuth = tls.RequireAndVerifyClientCert
	}
	if admitted := fields["admitted"]; admitted != "" {
		config.VerifyPeerCertificate = func(_ [][]byte, chains [][]*x509.Certificate) error {
			if chains[0][0].Subject.CommonName != admitted {
				return errors.New("not admitted")
			}
			return nil
		}
	}
	if fields["odd"] == oddSNI {
		config.GetConfigForClient = func(hello *tls.ClientHelloInfo) (*tls.Config, error) {
			if hello.ServerName != "other.example" {
				return nil, errors.New("no such host")
			}
			return nil, nil
		}
	}
	listener, err := tls.Listen("tcp", "127.0.0.1:0", config)
	if err != nil {
		return err
	}
	say(fields["id"], fmt.Sprint(listener.Addr().(*net.TCPAddr).Port))
	go func() {
		for {
			connection, err := listener.Accept()
			if err != nil {
				return
			}
			go respond(connection)
		}
	}()
	return nil
}

func respond(connection net.Conn) {
	defer connection.Close()
	connection.SetDeadline(time.Now().Add(deadline))
	reader := bufio.NewReader(connection)
	for {
		line, err := reader.ReadBytes('\n')
		if err != nil {
			return
		}
		if len(bytes.TrimSpace(line)) == 0 {
			break
		}
	}
	io.WriteString(connection, answer)
	io.Copy(io.Discard, reader)
}

func call(fields map[string]string) (string, error) {
	config, err := settings(fields)
	if err != nil {
		return "", err
	}
	if config.RootCAs, err = pool(fields["ca"]); err != nil {
		return "", err
	}
	config.ServerName = fields["host"]
	dialer := &net.Dialer{Timeout: deadline}
	connection, err := tls.DialWithDialer(dialer, "tcp", "127.0.0.1:"+fields["port"], config)
	if err != nil {
		return "", err
	}
	defer connection.Close()
	connection.SetDeadline(time.Now().Add(deadline))
	io.WriteString(connection, "GET / HTTP/1.0\r\n\r\n")
	page, err := io.ReadAll(connection)
	return string(page), err
}

func main() {
	lines := bufio.NewScanner(os.Stdin)
	for lines.Scan() {
		fields := map[string]string{}
		for _, field := range strings.Split(lines.Text(), "\t") {
			name, value, _ := strings.Cut(field, "=")
			fields[name] = value
		}
		if fields["verb"] == "serve" {
			if err := serve(fields); err != nil {
				say(fields["id"], err.Error())
			}
			continue
		}
		go func() {
			page, err := call(fields)
			if err != nil {
				page = err.Error()
			}
			say(fields["id"], page)
		}()
	}
}
