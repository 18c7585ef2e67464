//go:build e2e

package e2e

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base64"
	"encoding/pem"
	"fmt"
	"io"
	"math/big"
	"net"
	"net/http"
	neturl "net/url"
	"testing"
	"time"
)

const (
	tlsHost = "tls.localhost"
	tlsPort = "8443" // `make up` maps it to the https entry point of the ingress controller
)

// TestHTTPS: with a certificate in a Secret the app is served over HTTPS with that certificate, and HTTP redirects to
// it.
func TestHTTPS(t *testing.T) {
	requireTarget(t, "kind")
	measures(t)
	o := up(t)
	explainFailure(t, clientset(t), o.Namespace)
	trusted, secret := selfSigned(t, tlsHost)
	apply(t, fmt.Sprintf(secret, o.Namespace))
	t.Cleanup(func() { kubectl(t, "delete", "secret", "e2e-tls", "--namespace", o.Namespace, "--ignore-not-found") })
	defer up(t)
	pulumi(t, "up", "--yes", "--skip-preview", "--stack", stackName(), "--config-file",
		stackFileWith(t, "scaleout:tlsSecret", "e2e-tls", "scaleout:host", tlsHost, "scaleout:publicPort", tlsPort))

	client := &http.Client{
		Timeout:       5 * time.Second,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		Transport: &http.Transport{
			DisableKeepAlives: true, TLSClientConfig: &tls.Config{RootCAs: trusted, ServerName: tlsHost},
		},
	}
	const secure = "https://" + tlsHost + ":" + tlsPort + "/"
	status, body := askAt(t, client, "https", tlsPort)
	if status != "200 OK" || !answerForm.MatchString(body) {
		t.Errorf("%s: got %s: %q", secure, status, body)
	}
	url, err := neturl.Parse(o.URL)
	if err != nil {
		t.Fatal(err)
	}
	plain := url.Port()
	status, location := askAt(t, client, "http", plain)
	if location != secure {
		t.Errorf("http at port %s: got %s and %q, want a redirect to %s", plain, status, location, secure)
	}
	record(t, "engine", "`tlsSecret` with a self-signed certificate",
		"served by HTTPS at port "+tlsPort+", HTTP is answered by "+status)
}

// askAt requests tlsHost at a port of this machine until the ingress controller has applied the change. It returns
// the status, and the body or the location of a redirect.
func askAt(t *testing.T, client *http.Client, scheme, port string) (status, said string) {
	t.Helper()
	for deadline := time.Now().Add(30 * time.Second); ; time.Sleep(time.Second) {
		request, err := http.NewRequest(http.MethodGet, scheme+"://localhost:"+port+"/", nil)
		if err != nil {
			t.Fatal(err)
		}
		request.Host = net.JoinHostPort(tlsHost, port)
		response, err := client.Do(request)
		if err == nil {
			body, _ := io.ReadAll(response.Body)
			_ = response.Body.Close()
			if response.StatusCode == http.StatusOK && scheme == "https" {
				return response.Status, string(body)
			}
			if location := response.Header.Get("Location"); location != "" {
				return response.Status, location
			}
			status, said = response.Status, string(body)
		} else {
			status, said = "no answer", err.Error()
		}
		if time.Now().After(deadline) {
			return status, said
		}
	}
}

// selfSigned creates a self-signed certificate for a host. It returns a pool that trusts it, and the manifest of a
// Secret with it, where %s stands for the namespace.
func selfSigned(t *testing.T, host string) (trusted *x509.CertPool, secret string) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: host}, DNSNames: []string{host},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign,
	}
	certificate, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	private, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	encode := func(kind string, content []byte) string {
		return base64.StdEncoding.EncodeToString(pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: content}))
	}
	trusted = x509.NewCertPool()
	trusted.AppendCertsFromPEM(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: certificate}))
	return trusted, `apiVersion: v1
kind: Secret
type: kubernetes.io/tls
metadata: {name: e2e-tls, namespace: %s}
data: {tls.crt: ` + encode("CERTIFICATE", certificate) + ", tls.key: " + encode("PRIVATE KEY", private) + "}\n"
}
