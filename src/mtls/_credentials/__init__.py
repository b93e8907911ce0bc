"""What we hold: keys and certificates (keystore), trust anchors (truststore), and requests for certificates."""
