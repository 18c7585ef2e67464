package config

import (
	"regexp"
	"slices"
	"strings"

	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"example.com/scaleout/components/aws"
	"example.com/scaleout/components/kube"
	"example.com/scaleout/internal/check"
)

// alb is nil for other controllers. A certificate that the program itself requests is added later.
func (d *decoder) alb() *kube.ALB {
	a := &kube.ALB{
		Scheme: d.Text("albScheme"), Controller: kube.ALBController(d.Text("albController")),
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
	if !d.on("ingress") { // route says so
		return nil
	}
	if (a.Controller == "") != (a.Scheme == "") {
		d.Problem("albController", "got %s, must be set together with albScheme, or neither: "+
			"eksAutoMode or awsLoadBalancerController", d.Shown("albController"))
		return nil
	}
	if a.Scheme == "" {
		d.without("without albScheme there is no ALB to use it",
			"certificateArn", "hostedZoneId", "albGroup", "albAccessLogsBucket", "albAccessLogsPrefix", "albWebAclArn")
		return nil
	}
	region := d.Optional("aws:region")
	for _, key := range []string{"certificateArn", "albWebAclArn"} {
		if parts := strings.Split(d.Text(key), ":"); len(parts) > 3 && region != "" && parts[3] != region {
			d.Problem(key, "got %s, but an ALB takes only what is in its own region, aws:region %s",
				d.Shown(key), d.Shown("aws:region"))
		}
	}
	return a
}

// albClass is the IngressClass that the program creates; nil if the cluster has it.
func (d *decoder) albClass(alb *kube.ALB) *kube.ALBClassArgs {
	install := d.Boolean("installAlbClass")
	if alb == nil {
		if install && d.on("ingress") {
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
	class := &kube.ALBClassArgs{Name: d.Text("ingressClass"), Controller: alb.Controller}
	d.Check("albClass", class.Validate())
	class.LoadBalancers = alb // which is checked as part of the route
	return class
}

// dns is the hosted zone for the host's records; nil for none. With it the program requests a certificate unless it is
// given one.
func (d *decoder) dns(t *Kubernetes) {
	zone, alb := d.clusterText("hostedZoneId", fromCluster, outputZone), albOf(t.Web.Route)
	if zone == pulumi.String("") || alb == nil {
		return
	}
	host := d.Text("host")
	if host == "" {
		d.Problem("host", "got %s, must be set with hostedZoneId: the name that leads to the ALB", d.Shown("host"))
		return
	}
	t.Record = &DNS{Host: host, Zone: zone}
	if alb.CertificateARN != nil {
		record := aws.LoadBalancerRecordArgs{Host: host, ZoneID: zone}
		d.Check("record", record.ValidateSettings())
		return
	}
	t.Certificate = &aws.CertificateArgs{Domain: host, ZoneID: zone}
	d.Check("certificate", t.Certificate.Validate())
	d.Check("web.route.alb", checkTLSPolicy(alb))
}

// checkTLSPolicy checks what a certificate that does not exist yet will need.
func checkTLSPolicy(alb *kube.ALB) field.ErrorList {
	withCertificate := *alb
	withCertificate.CertificateARN = pulumi.String("").ToStringOutput()
	return withCertificate.Validate()
}

// idForm is that of most of AWS' IDs, e.g. subnet-0123456789abcdef0.
var idForm = regexp.MustCompile(`^[a-z]+-[0-9a-f]{8}([0-9a-f]{9})?$`)

func (d *decoder) checkIDs(key, kind string, ids []string) {
	var problems field.ErrorList
	for i, id := range ids {
		if !idForm.MatchString(id) || !strings.HasPrefix(id, kind+"-") || slices.Contains(ids[:i], id) {
			problems = append(problems, check.Invalid(key, id, "must be an ID such as "+kind+"-0123456789abcdef0, each once")...)
		}
	}
	d.CheckKey(key, problems)
}
