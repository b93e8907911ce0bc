import java.io.BufferedReader;
import java.io.ByteArrayOutputStream;
import java.io.FileInputStream;
import java.io.IOException;
import java.io.InputStream;
import java.io.InputStreamReader;
import java.io.OutputStream;
import java.net.InetAddress;
import java.net.Socket;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.security.KeyFactory;
import java.security.KeyStore;
import java.security.PrivateKey;
import java.security.cert.CertStore;
import java.security.cert.Certificate;
import java.security.cert.CertificateException;
import java.security.cert.CertificateFactory;
import java.security.cert.CollectionCertStoreParameters;
import java.security.cert.PKIXBuilderParameters;
import java.security.cert.X509CertSelector;
import java.security.cert.X509Certificate;
import java.security.spec.InvalidKeySpecException;
import java.security.spec.PKCS8EncodedKeySpec;
import java.util.Base64;
import java.util.Collection;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import javax.net.ssl.CertPathTrustManagerParameters;
import javax.net.ssl.KeyManager;
import javax.net.ssl.SNIHostName;
import javax.net.ssl.SSLContext;
import javax.net.ssl.SSLEngine;
import javax.net.ssl.SSLParameters;
import javax.net.ssl.SSLServerSocket;
import javax.net.ssl.SSLSocket;
import javax.net.ssl.TrustManager;
import javax.net.ssl.TrustManagerFactory;
import javax.net.ssl.X509ExtendedKeyManager;
import javax.net.ssl.X509ExtendedTrustManager;

/** A TLS peer on JSSE: serves sites and makes calls, as the lines on its stdin say. */
public final class Peer {
    private static final String CIPHER = "no common cipher", ALPN = "no common ALPN", SNI = "SNI refused";
    private static final String ANSWER =
            "HTTP/1.1 200 OK\r\nContent-Length: 5\r\nConnection: close\r\n\r\nhello";
    private static final char[] PASSWORD = "matrix".toCharArray();
    private static final int DEADLINE = 20_000;
    private static final ExecutorService THREADS = Executors.newCachedThreadPool(runnable -> {
        Thread thread = new Thread(runnable);
        thread.setDaemon(true);
        return thread;
    });

    public static void main(String[] arguments) throws IOException {
        BufferedReader lines = new BufferedReader(new InputStreamReader(System.in, StandardCharsets.UTF_8));
        for (String line = lines.readLine(); line != null; line = lines.readLine()) {
            Map<String, String> fields = new HashMap<>();
            for (String field : line.split("\t")) {
                int at = field.indexOf('=');
                fields.put(field.substring(0, at), field.substring(at + 1));
            }
            THREADS.execute(() -> {
                try {
                    say(fields, fields.get("verb").equals("serve") ? serve(fields) : call(fields));
                } catch (Exception failure) {
                    say(fields, failure.toString());
                }
            });
        }
    }

    private static synchronized void say(Map<String, String> fields, String text) {
        System.out.println(fields.get("id") + "\t" + text.replaceAll("\\s+", " "));
        System.out.flush();
    }

    private static String serve(Map<String, String> fields) throws Exception {
        InetAddress here = InetAddress.getByName("127.0.0.1");
        SSLServerSocket listener =
                (SSLServerSocket) context(fields).getServerSocketFactory().createServerSocket(0, 64, here);
        SSLParameters parameters = listener.getSSLParameters();
        parameters.setNeedClientAuth(!fields.get("ca").isEmpty());
        if (fields.get("odd").equals(SNI)) {
            parameters.setSNIMatchers(List.of(SNIHostName.createSNIMatcher("other\\.example")));
        }
        narrow(parameters, fields);
        listener.setSSLParameters(parameters);
        THREADS.execute(() -> {
            while (true) {
                try {
                    SSLSocket socket = (SSLSocket) listener.accept();
                    THREADS.execute(() -> answer(socket));
                } catch (IOException ended) {
                    return;
                }
            }
        });
        return Integer.toString(listener.getLocalPort());
    }

    private static void answer(SSLSocket accepted) {
        try (SSLSocket socket = accepted) {
            socket.setSoTimeout(DEADLINE);
            socket.startHandshake();
            InputStream in = socket.getInputStream();
            int matched = 0;
            for (int next = in.read(); matched < 4; next = in.read()) {
                if (next < 0) {
                    return;
                }
                matched = next == "\r\n\r\n".charAt(matched) ? matched + 1 : next == '\r' ? 1 : 0;
                if (matched == 4) {
                    break;
                }
            }
            socket.getOutputStream().write(ANSWER.getBytes(StandardCharsets.US_ASCII));
            socket.getOutputStream().flush();
            byte[] rest = new byte[65536];
            while (in.read(rest) >= 0) {
                continue;
            }
        } catch (IOException refused) {
            return;
        }
    }

    private static String call(Map<String, String> fields) throws Exception {
        Socket plain = new Socket("127.0.0.1", Integer.parseInt(fields.get("port")));
        String host = fields.get("host");
        try (SSLSocket socket =
                (SSLSocket) context(fields).getSocketFactory().createSocket(plain, host, plain.getPort(), true)) {
            SSLParameters parameters = socket.getSSLParameters();
            parameters.setEndpointIdentificationAlgorithm("HTTPS");
            narrow(parameters, fields);
            socket.setSSLParameters(parameters);
            socket.setSoTimeout(DEADLINE);
            socket.startHandshake();
            OutputStream out = socket.getOutputStream();
            out.write("GET / HTTP/1.0\r\n\r\n".getBytes(StandardCharsets.US_ASCII));
            out.flush();
            ByteArrayOutputStream page = new ByteArrayOutputStream();
            socket.getInputStream().transferTo(page);
            return page.toString(StandardCharsets.US_ASCII);
        }
    }

    private static void narrow(SSLParameters parameters, Map<String, String> fields) {
        boolean both = !fields.get("min").equals(fields.get("max"));
        String last = "TLSv" + fields.get("max");
        parameters.setProtocols(both ? new String[] {"TLSv1.2", "TLSv1.3"} : new String[] {last});
        if (fields.get("odd").equals(CIPHER)) {
            parameters.setCipherSuites(new String[] {"TLS_ECDHE_ECDSA_WITH_AES_128_CBC_SHA256"});
        }
        if (fields.get("odd").equals(ALPN)) {
            parameters.setApplicationProtocols(new String[] {"http/1.1"});
        }
    }

    private static SSLContext context(Map<String, String> fields) throws Exception {
        SSLContext context = SSLContext.getInstance("TLS");
        context.init(keys(fields), trust(fields), null);
        return context;
    }

    private static Collection<? extends Certificate> certificates(String path) throws Exception {
        try (InputStream file = new FileInputStream(path)) {
            return CertificateFactory.getInstance("X.509").generateCertificates(file);
        }
    }

    private static KeyManager[] keys(Map<String, String> fields) throws Exception {
        if (fields.get("cert").isEmpty()) {
            return null;
        }
        X509Certificate[] chain = certificates(fields.get("cert")).toArray(new X509Certificate[0]);
        PrivateKey key = key(fields.get("key"));
        return new KeyManager[] {new OneIdentity(chain, key)};
    }

    /** Shows what it has, whatever CA names the other side lists: as OpenSSL and curl do. */
    private static final class OneIdentity extends X509ExtendedKeyManager {
        private final X509Certificate[] chain;
        private final PrivateKey key;

        OneIdentity(X509Certificate[] chain, PrivateKey key) {
            this.chain = chain;
            this.key = key;
        }

        private String alias(String... types) {
            for (String type : types) {
                if (type.equals(key.getAlgorithm()) || type.startsWith(key.getAlgorithm() + "_")) {
                    return "own";
                }
            }
            return null;
        }

        @Override
        public String[] getClientAliases(String type, java.security.Principal[] issuers) {
            return new String[] {"own"};
        }

        @Override
        public String chooseClientAlias(String[] types, java.security.Principal[] issuers, Socket socket) {
            return alias(types);
        }

        @Override
        public String chooseEngineClientAlias(String[] types, java.security.Principal[] issuers, SSLEngine engine) {
            return alias(types);
        }

        @Override
        public String[] getServerAliases(String type, java.security.Principal[] issuers) {
            return new String[] {"own"};
        }

        @Override
        public String chooseServerAlias(String type, java.security.Principal[] issuers, Socket socket) {
            return alias(type);
        }

        @Override
        public String chooseEngineServerAlias(String type, java.security.Principal[] issuers, SSLEngine engine) {
            return alias(type);
        }

        @Override
        public X509Certificate[] getCertificateChain(String alias) {
            return chain.clone();
        }

        @Override
        public PrivateKey getPrivateKey(String alias) {
            return key;
        }
    }

    private static PrivateKey key(String path) throws Exception {
        String text = Files.readString(Path.of(path)).replaceAll("-----[A-Z ]+-----|\\s", "");
        PKCS8EncodedKeySpec encoded = new PKCS8EncodedKeySpec(Base64.getDecoder().decode(text));
        try {
            return KeyFactory.getInstance("EC").generatePrivate(encoded);
        } catch (InvalidKeySpecException noEllipticCurve) {
            return KeyFactory.getInstance("RSA").generatePrivate(encoded);
        }
    }

    private static TrustManager[] trust(Map<String, String> fields) throws Exception {
        if (fields.get("ca").isEmpty()) {
            return null;
        }
        KeyStore anchors = KeyStore.getInstance(KeyStore.getDefaultType());
        anchors.load(null, PASSWORD);
        int number = 0;
        for (Certificate anchor : certificates(fields.get("ca"))) {
            anchors.setCertificateEntry("anchor" + number++, anchor);
        }
        TrustManagerFactory factory = TrustManagerFactory.getInstance("PKIX");
        if (fields.get("crl").isEmpty()) {
            factory.init(anchors);
        } else {
            PKIXBuilderParameters parameters = new PKIXBuilderParameters(anchors, new X509CertSelector());
            try (InputStream file = new FileInputStream(fields.get("crl"))) {
                Collection<?> lists = CertificateFactory.getInstance("X.509").generateCRLs(file);
                CollectionCertStoreParameters store = new CollectionCertStoreParameters(lists);
                parameters.addCertStore(CertStore.getInstance("Collection", store));
            }
            parameters.setRevocationEnabled(true);
            factory.init(new CertPathTrustManagerParameters(parameters));
        }
        X509ExtendedTrustManager judge = (X509ExtendedTrustManager) factory.getTrustManagers()[0];
        String admitted = fields.getOrDefault("admitted", "");
        return new TrustManager[] {admitted.isEmpty() ? judge : new Admission(judge, admitted)};
    }

    /** Lets in one client alone. */
    private static final class Admission extends X509ExtendedTrustManager {
        private final X509ExtendedTrustManager judge;
        private final String admitted;

        Admission(X509ExtendedTrustManager judge, String admitted) {
            this.judge = judge;
            this.admitted = admitted;
        }

        private void admit(X509Certificate[] chain) throws CertificateException {
            if (!chain[0].getSubjectX500Principal().getName().equals("CN=" + admitted)) {
                throw new CertificateException("not admitted");
            }
        }

        @Override
        public void checkClientTrusted(X509Certificate[] chain, String type) throws CertificateException {
            judge.checkClientTrusted(chain, type);
            admit(chain);
        }

        @Override
        public void checkClientTrusted(X509Certificate[] chain, String type, Socket socket)
                throws CertificateException {
            judge.checkClientTrusted(chain, type, socket);
            admit(chain);
        }

        @Override
        public void checkClientTrusted(X509Certificate[] chain, String type, SSLEngine engine)
                throws CertificateException {
            judge.checkClientTrusted(chain, type, engine);
            admit(chain);
        }

        @Override
        public void checkServerTrusted(X509Certificate[] chain, String type) throws CertificateException {
            judge.checkServerTrusted(chain, type);
        }

        @Override
        public void checkServerTrusted(X509Certificate[] chain, String type, Socket socket)
                throws CertificateException {
            judge.checkServerTrusted(chain, type, socket);
        }

        @Override
        public void checkServerTrusted(X509Certificate[] chain, String type, SSLEngine engine)
                throws CertificateException {
            judge.checkServerTrusted(chain, type, engine);
        }

        @Override
        public X509Certificate[] getAcceptedIssuers() {
            return judge.getAcceptedIssuers();
        }
    }
}
