package main

import (
	"bytes"
	_ "embed"
	"fmt"
	"text/template"

	"example.com/scaleout/internal/nodeport"
)

//go:embed kind.yaml
var kindConfig string

// Traefik's node ports, as Docker writes them.
var (
	nodeHTTP  = fmt.Sprintf("%d/tcp", nodeport.HTTP)
	nodeHTTPS = fmt.Sprintf("%d/tcp", nodeport.HTTPS)
)

// nodeImages returns the images a new cluster can be made from. The first is what Kind v0.33.0 publishes for Kubernetes
// 1.34: https://github.com/kubernetes-sigs/kind/releases/tag/v0.33.0 (other tags may be for another Kind). The second
// is a patch release that mirrors and offline machines hold. 1.34 is the newest that runs on hosts with cgroup v1.
func nodeImages() []string {
	return []string{
		"kindest/node:v1.34.11@sha256:44e222ee2132dab25ff87301682f89eb82c7880ea3a1bf543bfe9708fd08d67d",
		"kindest/node:v1.34.2",
	}
}

// clusterConfig renders kind.yaml, after making sure that the ports are free.
func (d *driver) clusterConfig() (string, error) {
	if d.HTTPPort == 0 {
		d.HTTPPort = defaultHTTPPort
	}
	if d.HTTPSPort == 0 {
		d.HTTPSPort = defaultHTTPSPort
	}
	if portTaken(d.HTTPPort) {
		return "", fmt.Errorf("port %d on 127.0.0.1 is taken: set HTTP_PORT to a free one", d.HTTPPort)
	}
	if portTaken(d.HTTPSPort) {
		return "", fmt.Errorf("port %d on 127.0.0.1 is taken: set HTTPS_PORT to a free one", d.HTTPSPort)
	}
	t, err := template.New("kind.yaml").Parse(kindConfig)
	if err != nil {
		return "", fmt.Errorf("reading kind.yaml: %w", err)
	}
	var b bytes.Buffer
	err = t.Execute(&b, map[string]any{
		"HTTPPort": d.HTTPPort, "NodeHTTP": nodeport.HTTP,
		"HTTPSPort": d.HTTPSPort, "NodeHTTPS": nodeport.HTTPS,
		"Workers": make([]struct{}, d.Workers),
	})
	if err != nil {
		return "", fmt.Errorf("rendering kind.yaml: %w", err)
	}
	return b.String(), nil
}
