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

// albKeys have no effect without an ALB.
var albKeys = []string{
	"certificateArn", "hostedZoneId", "albGroup", "albAccessLogsBucket", "albAccessLogsPrefix", "albWebAclArn",
}

// alb returns the settings of the ALB, or nil for other controllers. A requested certificate is added later.
func (d *decoder) alb() *kube.ALB {
	a := &kube.ALB{Controller: kube.ALBController(d.Text("albController"))}
	d.Fill("web.ingress.alb", a)
	certificate := d.clusterText("certificateArn", clusterOutput, "certificateArn")
	if certificate != pulumi.String("") {
		a.CertificateARN = certificate
	}
	if !d.on("ingress") { // ingress reports the problem
		return nil
	}
	if (a.Controller == "") != (a.Scheme == "") {
		d.Refuse("albController", "must be set together with albScheme, or neither: "+
			"eksAutoMode or awsLoadBalancerController")
		return nil
	}
	if a.Scheme == "" {
		d.without("without albScheme there is no ALB to use it", albKeys...)
		return nil
	}
	region := d.Optional("aws:region")
	for _, key := range []string{"certificateArn", "albWebAclArn"} {
		parts := strings.Split(d.Text(key), ":")
		d.RefuseIf(len(parts) > 3 && region != "" && parts[3] != region,
			key, "but an ALB uses only resources in its own region, aws:region %s", d.Display("aws:region"))
	}
	return a
}

// albClass returns the IngressClass to create, or nil if the cluster has it.
func (d *decoder) albClass(alb *kube.ALB) *kube.ALBClassArgs {
	install := d.Boolean("installAlbIngressClass")
	if alb == nil {
		d.RefuseIf(install && d.on("ingress"), "installAlbIngressClass", "but without albScheme there is no ALB")
		return nil
	}
	// Auto Mode ignores the group annotation, and documents only the IngressClass as the place for attributes.
	for _, key := range []string{"albGroup", "albAccessLogsBucket"} {
		d.RefuseIf(!install && alb.Controller == kube.EKSAutoMode && d.Text(key) != "",
			key, "which EKS Auto Mode reads from the IngressClass only; set installAlbIngressClass too, and "+
				"ingressClass to an unused name")
	}
	if !install {
		return nil
	}
	class := &kube.ALBClassArgs{Name: d.Text("ingressClass"), Controller: alb.Controller}
	d.RefuseIf(d.cluster != nil && d.cluster.known["ingressClass"] == class.Name, "ingressClass",
		"which the cluster's stack has created; with installAlbIngressClass set an unused name")
	d.Check("albClass", class.Validate())
	class.LoadBalancers = alb // already checked as part of the Ingress
	return class
}

// dns points the host to the ALB if there is a hosted zone, and requests a certificate unless one is given.
func (d *decoder) dns(t *Kubernetes, alb *kube.ALB) {
	zone, host := d.clusterText("hostedZoneId", clusterOutput, "hostedZoneId"), d.Text("host")
	if zone == pulumi.String("") || alb == nil {
		return
	}
	d.Check("host", check.That(host != "", "host", "", "must be set with hostedZoneId: the DNS name of the ALB"))
	t.Record = &aws.LoadBalancerRecordArgs{Host: host, ZoneID: zone}
	d.Check("record", t.Record.Validate())
	if alb.CertificateARN != nil {
		return
	}
	t.Certificate = &aws.CertificateArgs{Domain: host, ZoneID: zone}
	d.Check("certificate", t.Certificate.Validate())
	withCertificate := *alb // requires a TLS policy
	withCertificate.CertificateARN = pulumi.String("").ToStringOutput()
	d.Check("web.ingress.alb", withCertificate.Validate())
}

func (d *decoder) checkIDs(key, kind string, ids []string) {
	form := regexp.MustCompile(`^` + kind + `-[0-9a-f]{8}([0-9a-f]{9})?$`)
	var problems field.ErrorList
	for i, id := range ids {
		right := form.MatchString(id) && !slices.Contains(ids[:i], id)
		problems = append(problems,
			check.That(right, key, id, "must be an ID such as "+kind+"-0123456789abcdef0, not repeated")...)
	}
	d.Check(key, problems)
}

// https://docs.aws.amazon.com/AmazonElastiCache/latest/APIReference/API_CreateUser.html
const maxElastiCachePassword = 128

// elastiCache returns the ElastiCache, or nil for any other Redis.
func (d *decoder) elastiCache(target string) *aws.ElastiCacheArgs {
	e, replicas, serverless := &aws.ElastiCacheArgs{}, &aws.ElastiCacheReplicas{}, &aws.ElastiCacheServerless{}
	d.Fill("elasticache", e)
	d.Fill("elasticache.replicas", replicas)
	d.Fill("elasticache.serverless", serverless)
	clients, subnets, kind := d.List("elasticacheSecurityGroups"), d.List("elasticacheSubnets"), d.Text("elasticacheKind")
	e.Clients = pulumi.ToStringArray(clients)
	if e.Name == "" {
		return nil
	}
	d.Check("elasticacheKind", check.OneOf("elasticacheKind", kind, "replicas", "serverless"))
	if kind == "serverless" {
		e.Serverless = serverless
	} else {
		e.Replicas = replicas
	}
	if len(subnets) > 0 {
		e.Subnets = pulumi.ToStringArray(subnets)
	}
	d.RefuseIf(target != "eks", "elasticacheName", "but only target eks supports ElastiCache; leave it empty")
	d.Check("elasticache", e.Validate())
	d.RefuseIf(e.Access == "", "elasticacheAccess",
		`must be an access string such as "on ~cart:* -@all +@read +@write +@connection"`)
	password := d.Text("redisPassword")
	if len(password) > maxElastiCachePassword || strings.ContainsAny(password, `,"/@`) {
		d.Problem("redisPassword", `must have at most %d characters with elasticacheName, none of them , " / or @`,
			maxElastiCachePassword)
	}
	d.checkIDs("elasticacheSubnets", "subnet", subnets)
	d.checkIDs("elasticacheSecurityGroups", "sg", clients)
	return e
}
