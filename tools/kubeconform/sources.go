package kubeconform

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
)

// versions are those of Kubernetes whose API is checked, in ascending order: the least that is supported, and those
// that clusters have by default. Patch releases change no API.
var versions = []string{
	"1.30.0", // the least: the first with preStop.sleep in every cluster (feature gate PodLifecycleSleepAction)
	"1.34.2", // the nodes of make up (nodeImages in cmd/scaleout)
	"1.35.0", // kubernetesVersion in cluster/Pulumi.yaml
}

const (
	openAPIFile = "api/openapi-spec/swagger.json"
	// AWS does not tell which Karpenter EKS Auto Mode runs. It began in December 2024, with no older one than this.
	karpenter = "sigs.k8s.io/karpenter@v1.1.0"
	operator  = "github.com/prometheus-operator/prometheus-operator@v0.85.0"
)

// definitions are the CustomResourceDefinitions of other kinds, and the modules that they are in.
var definitions = []struct{ module, file string }{
	{karpenter, "pkg/apis/crds/karpenter.sh_nodepools.yaml"},
	{operator, "example/prometheus-operator-crd/monitoring.coreos.com_podmonitors.yaml"},
	{operator, "example/prometheus-operator-crd/monitoring.coreos.com_prometheusrules.yaml"},
}

// withoutSchema are the kinds that are let pass, with the reason. Any other kind without a schema is a finding.
var withoutSchema = map[string]string{
	"eks.amazonaws.com/v1/NodeClass":          "of EKS Auto Mode: AWS publishes no definition",
	"eks.amazonaws.com/v1/IngressClassParams": "of EKS Auto Mode: AWS publishes no definition",
}

// sources writes the schemas of a version of Kubernetes, and of all definitions, into dir.
func sources(ctx context.Context, version, dir string) error {
	openAPI, err := read(ctx, "k8s.io/kubernetes@v"+version, openAPIFile)
	if err != nil {
		return err
	}
	if err := writeSchemas(openAPI, dir); err != nil {
		return fmt.Errorf("making schemas of Kubernetes %s: %w", version, err)
	}
	for _, d := range definitions {
		crd, err := read(ctx, d.module, d.file)
		if err != nil {
			return err
		}
		if err := writeDefinition(crd, dir); err != nil {
			return fmt.Errorf("making a schema of %s in %s: %w", d.file, d.module, err)
		}
	}
	return nil
}

// errUnreachable is that this machine has no module proxy, or none that answers.
var errUnreachable = errors.New("the Go module proxy cannot be reached")

// unreachable matches what the go command says then. That a module or its version does not exist is another matter.
var unreachable = regexp.MustCompile(`\bdial |GOPROXY=off|[Tt]imeout|proxyconnect|connection reset|\bEOF\b|: 50[234] `)

// read returns a file of a module, e.g. k8s.io/kubernetes@v1.30.0, which it downloads unless the module cache has it.
func read(ctx context.Context, module, file string) ([]byte, error) {
	out, err := exec.CommandContext(ctx, "go", "mod", "download", "-json", module).Output()
	var answer struct{ Dir, Error string }
	if jsonErr := json.Unmarshal(out, &answer); jsonErr != nil { // nothing, if the command did not start
		return nil, fmt.Errorf("downloading %s: %w", module, errors.Join(err, jsonErr))
	}
	switch {
	case unreachable.MatchString(answer.Error):
		return nil, fmt.Errorf("downloading %s: %w: %s", module, errUnreachable, answer.Error)
	case answer.Error != "":
		return nil, fmt.Errorf("downloading %s: %s", module, answer.Error)
	}
	content, err := os.ReadFile(filepath.Join(answer.Dir, filepath.FromSlash(file)))
	if err != nil {
		return nil, fmt.Errorf("reading a file of %s: %w", module, err)
	}
	return content, nil
}
