package config

import (
	"regexp"
	"slices"
	"strings"

	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"scaleout/components"
	"scaleout/internal/check"
)

// alb is nil for other controllers. A certificate that the program itself requests is added later.
func (d *decoder) alb() *components.ALB {
	a := &components.ALB{
		Scheme: d.Text("albScheme"), Controller: components.ALBController(d.Text("albController")),
		TLSPolicy: d.Text("albTlsPolicy"), Group: d.Text("albGroup"),
		AccessLogsBucket: d.Text("albAccessLogsBucket"), AccessLogsPrefix: d.Text("albAccessLogsPrefix"),
		WebACLARN: d.Text("albWebAclArn"),
	}
	certificate := d.clusterText("certificateArn", fromCluster, outputCertificate)
	if certificate != pulumi.String("") {
		a.CertificateARN = certificate
	}
	for _, key := range []string{"certificateArn", "hostedZoneId"} {
		if d.cluster == nil && d.Optional(key) == fromCluster {
			d.Problem(key, "got %s, which is that of clusterStack; set that too", d.Shown(key))
			d.Malformed(key)
		}
	}
	if (a.Controller == "") != (a.Scheme == "") {
		d.Problem("albController", "got %s, must be set together with albScheme, or neither: "+
			"eksAutoMode or awsLoadBalancerController", d.Shown("albController"))
		return nil
	}
	if a.Scheme == "" {
		for _, key := range []string{
			"certificateArn", "hostedZoneId", "albGroup", "albAccessLogsBucket", "albAccessLogsPrefix", "albWebAclArn",
		} {
			if d.Optional(key) != "" {
				d.Problem(key, "got %s, but without albScheme there is no ALB to use it", d.Shown(key))
			}
		}
		return nil
	}
	region := d.Optional("aws:region")
	for _, key := range []string{"certificateArn", "albWebAclArn"} {
		if parts := strings.Split(d.Text(key), ":"); len(parts) > 3 && region != "" && parts[3] != region {
			d.Problem(key, "got %s, but an ALB takes only what is in its own region, aws:region %s", d.Shown(key), d.Shown("aws:region"))
		}
	}
	return a
}

// albClass is the IngressClass that the program creates; nil if the cluster has it.
func (d *decoder) albClass(alb *components.ALB) *components.ALBClassArgs {
	install := d.Boolean("installAlbClass")
	if alb == nil {
		if install {
			d.Problem("installAlbClass", "got %s, but without albScheme there is no ALB", d.Shown("installAlbClass"))
		}
		return nil
	}
	// Auto Mode ignores the annotation for a group, and documents no other place for attributes than the class.
	for _, key := range []string{"albGroup", "albAccessLogsBucket"} {
		if !install && alb.Controller.GroupInClass() && d.Text(key) != "" {
			d.Problem(key, "got %s, which EKS Auto Mode reads from the IngressClass only; set installAlbClass too, "+
				"and ingressClass to a name that is free", d.Shown(key))
		}
	}
	if !install {
		return nil
	}
	if d.cluster != nil && d.cluster.known[outputClass] == d.Text("ingressClass") {
		d.Problem("ingressClass", "got %s, which stack %s has created; with installAlbClass give a name that is free",
			d.Shown("ingressClass"), d.cluster.name)
	}
	class := &components.ALBClassArgs{Name: d.Text("ingressClass"), Controller: alb.Controller, LoadBalancers: alb}
	d.Check(class.Validate(), albKeys)
	return class
}

// albKeys are the keys of the fields that have another name.
var albKeys = map[string]string{
	"tlsPolicy": "albTlsPolicy", "accessLogsBucket": "albAccessLogsBucket", "accessLogsPrefix": "albAccessLogsPrefix",
	"webAclArn": "albWebAclArn", "scraperNamespace": "prometheusNamespace",
}

// dns is the hosted zone for the host's records; nil for none. With it the program requests a certificate unless it is
// given one.
func (d *decoder) dns(t *Kubernetes) {
	zone, alb := d.clusterText("hostedZoneId", fromCluster, outputZone), t.Web.Route.ALB
	if zone == pulumi.String("") || alb == nil {
		return
	}
	host := t.Web.Route.Host
	if host == "" {
		d.Problem("host", "got %s, must be set with hostedZoneId: the name that leads to the ALB", d.Shown("host"))
		return
	}
	t.Alias = &DNS{Host: host, Zone: zone}
	args := components.CertificateArgs{Domain: host, ZoneID: zone}
	d.Check(args.Validate(), map[string]string{"zoneId": "hostedZoneId", "domain": "host"})
	if alb.CertificateARN == nil {
		t.Certificate = &args
		d.Check(checkTLSPolicy(alb), albKeys)
	}
}

// checkTLSPolicy checks what a certificate that does not exist yet will need.
func checkTLSPolicy(alb *components.ALB) field.ErrorList {
	withCertificate := *alb
	withCertificate.CertificateARN = pulumi.String("").ToStringOutput()
	return withCertificate.Validate()
}

// idForm is that of most of AWS' IDs, e.g. subnet-0123456789abcdef0.
var idForm = regexp.MustCompile(`^[a-z]+-[0-9a-f]{8}([0-9a-f]{9})?$`)

func (d *decoder) checkIDs(key, kind string, ids []string) {
	for i, id := range ids {
		if !idForm.MatchString(id) || !strings.HasPrefix(id, kind+"-") || slices.Contains(ids[:i], id) {
			d.Check(check.Invalid(key, id, "must be an ID such as "+kind+"-0123456789abcdef0, each once"), nil)
		}
	}
}
