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
	a := &kube.ALB{Controller: kube.ALBController(d.Text("albController"))}
	d.Fill("web.route.alb", a)
	certificate := d.clusterText("certificateArn", fromCluster, outputCertificate)
	if certificate != pulumi.String("") {
		a.CertificateARN = certificate
	}
	for _, key := range []string{"certificateArn", "hostedZoneId"} {
		if d.cluster == nil && d.Optional(key) == fromCluster {
			d.Refuse(key, "which is that of clusterStack; set that too")
			d.Malformed(key)
		}
	}
	if !d.on("ingress") { // route says so
		return nil
	}
	if (a.Controller == "") != (a.Scheme == "") {
		d.Refuse("albController", "must be set together with albScheme, or neither: "+
			"eksAutoMode or awsLoadBalancerController")
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
			d.Refuse(key, "but an ALB takes only what is in its own region, aws:region %s", d.Shown("aws:region"))
		}
	}
	return a
}

// albClass is the IngressClass that the program creates; nil if the cluster has it.
func (d *decoder) albClass(alb *kube.ALB) *kube.ALBClassArgs {
	install := d.Boolean("installAlbClass")
	if alb == nil {
		d.RefuseIf(install && d.on("ingress"), "installAlbClass", "but without albScheme there is no ALB")
		return nil
	}
	// Auto Mode ignores the annotation for a group, and documents no other place for attributes than the class.
	for _, key := range []string{"albGroup", "albAccessLogsBucket"} {
		d.RefuseIf(!install && alb.Controller == kube.EKSAutoMode && d.Text(key) != "",
			key, "which EKS Auto Mode reads from the IngressClass only; set installAlbClass too, and "+
				"ingressClass to a name that is free")
	}
	if !install {
		return nil
	}
	if class := d.Text("ingressClass"); d.cluster != nil && d.cluster.known[outputClass] == class {
		d.Refuse("ingressClass", "which stack %s has created; with installAlbClass give a name that is free", d.cluster.name)
	}
	class := &kube.ALBClassArgs{Name: d.Text("ingressClass"), Controller: alb.Controller}
	d.Check("albClass", class.Validate())
	class.LoadBalancers = alb // which is checked as part of the route
	return class
}

// dns leads the host to the ALB if there is a hosted zone, and requests a certificate unless one is given.
func (d *decoder) dns(t *Kubernetes) {
	zone, alb := d.clusterText("hostedZoneId", fromCluster, outputZone), albOf(t.Web.Route)
	if zone == pulumi.String("") || alb == nil {
		return
	}
	host := d.Text("host")
	if host == "" {
		d.Refuse("host", "must be set with hostedZoneId: the name that leads to the ALB")
		return
	}
	t.Record = &aws.LoadBalancerRecordArgs{Host: host, ZoneID: zone}
	if alb.CertificateARN != nil {
		d.Check("record", t.Record.Validate())
		return
	}
	t.Certificate = &aws.CertificateArgs{Domain: host, ZoneID: zone}
	d.Check("certificate", t.Certificate.Validate())
	withCertificate := *alb // which has to have a TLS policy
	withCertificate.CertificateARN = pulumi.String("").ToStringOutput()
	d.Check("web.route.alb", withCertificate.Validate())
}

// idForm is that of most of AWS' IDs, e.g. subnet-0123456789abcdef0.
var idForm = regexp.MustCompile(`^[a-z]+-[0-9a-f]{8}([0-9a-f]{9})?$`)

func (d *decoder) checkIDs(key, kind string, ids []string) {
	var problems field.ErrorList
	for i, id := range ids {
		right := idForm.MatchString(id) && strings.HasPrefix(id, kind+"-") && !slices.Contains(ids[:i], id)
		problems = append(problems,
			check.That(right, key, id, "must be an ID such as "+kind+"-0123456789abcdef0, each once")...)
	}
	d.CheckKey(key, problems)
}

// ElastiCache is a Redis that AWS runs for this stack. Its Subnets are nil for those of the cluster.
type ElastiCache struct {
	aws.ElastiCacheArgs
	// Others are security groups that may connect besides the cluster's own.
	Others []string
}

// https://docs.aws.amazon.com/AmazonElastiCache/latest/APIReference/API_CreateUser.html
const maxElastiCachePassword = 128

// elastiCache is nil if the Redis is another one.
func (d *decoder) elastiCache(target string) *ElastiCache {
	e, replicas, serverless := &ElastiCache{}, &aws.ElastiCacheReplicas{}, &aws.ElastiCacheServerless{}
	d.Fill("elasticache", &e.ElastiCacheArgs)
	d.Fill("elasticache.replicas", replicas)
	d.Fill("elasticache.serverless", serverless)
	e.Others = d.List("elasticacheClients")
	kind, subnets := d.Text("elasticacheKind"), d.List("elasticacheSubnets")
	if e.Name == "" {
		return nil
	}
	switch kind {
	case "replicas":
		e.Replicas = replicas
	case "serverless":
		e.Serverless = serverless
	default:
		d.Refuse("elasticacheKind", "want replicas or serverless")
		return nil
	}
	if len(subnets) > 0 {
		e.Subnets = pulumi.ToStringArray(subnets)
	}
	d.RefuseIf(target != "eks", "elasticacheName", "but only target eks has ElastiCache; leave it empty")
	d.Check("elasticache", e.Validate())
	if e.Access == "" {
		d.Problem("elasticacheAccess", `got "", must be an access string such as "on ~cart:* -@all +@read +@write +@connection"`)
	}
	if password := d.Optional("redisPassword"); len(password) > maxElastiCachePassword || strings.ContainsAny(password, `,"/@`) {
		d.Problem("redisPassword", `must have at most %d characters with elasticacheName, none of them , " / or @`, maxElastiCachePassword)
	}
	d.checkIDs("elasticacheSubnets", "subnet", subnets)
	d.checkIDs("elasticacheClients", "sg", e.Others)
	return e
}
