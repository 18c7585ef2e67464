package main

import (
	"maps"
	"path"
	"slices"

	"github.com/pulumi/pulumi-kubernetes/sdk/v4/go/kubernetes"
	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"

	"example.com/scaleout/components/addons"
	"example.com/scaleout/components/aws"
	"example.com/scaleout/components/kube"
	"example.com/scaleout/components/redis"
	"example.com/scaleout/internal/component"
	"example.com/scaleout/internal/config"
)

// webName is the name of the web app, which the network policy of Redis refers to before the app exists.
const webName = "web"

// deployToKubernetes runs the app in a cluster, with an autoscaler.
func deployToKubernetes(b *component.Builder, cfg *config.Config, image pulumi.StringOutput) error {
	ctx, target := b.Context, cfg.Kubernetes
	provider, eks := connect(b, target)
	cluster := pulumi.Providers(provider)
	installAddons(b, target, cluster)
	namespace := component.Create(b, kube.NewNamespace, "namespace", &target.Namespace, cluster)
	web := &target.Web
	web.Namespace, web.Container.Image = namespace.Name, image
	web.AllowFrom = append(web.AllowFrom, scrapers(cfg)...)
	if err := provideCertificate(b, target); err != nil {
		return err
	}
	web.Bindings = bind(b, cfg, eks, namespace, cluster)
	app := component.Create(b, kube.NewWebApp, webName, web, cluster)
	if target.Record != nil { // points the host to the load balancer of the Ingress
		target.Record.Target = app.Address
		component.Create(b, aws.NewLoadBalancerRecord, webName, target.Record)
	}
	monitor(b, cfg, namespace, cluster)
	if err := b.Err(); err != nil {
		return err
	}
	exportCapacity(ctx, target.Capacity)
	if len(target.AWSTags) > 0 {
		ctx.Export("awsTags", pulumi.ToStringMap(target.AWSTags))
	}
	export(ctx, namespace, app)
	return exportImage(ctx, image, app.Ready)
}

// connect returns the provider for the cluster and, on EKS, the cluster's data from AWS.
func connect(b *component.Builder, target *config.Kubernetes) (*kubernetes.Provider, *aws.Cluster) {
	if target.EKS == nil {
		return component.Create(b, kube.NewKindProvider, "cluster", target.Kind), nil
	}
	found, eks := aws.LookupCluster(b.Context, target.EKS.Name), *target.EKS
	eks.Endpoint, eks.CertificateAuthority, eks.ARN = found.Endpoint, found.CertificateAuthority, found.ARN
	return component.Create(b, kube.NewEKSProvider, "cluster", eks), &found
}

// installAddons installs what the cluster does not have, and makes the app depend on it.
func installAddons(b *component.Builder, target *config.Kubernetes, cluster pulumi.ResourceOption) {
	web := &target.Web
	if target.Traefik != nil {
		web.IngressController = component.Create(b, addons.NewTraefik, config.TraefikName, target.Traefik, cluster).Ready
	}
	if target.ALBClass != nil {
		web.IngressController = component.Create(b, kube.NewALBClass, "alb", target.ALBClass, cluster).Ready
	}
	if target.MetricsServer != nil {
		metrics := component.Create(b, addons.NewMetricsServer, "metrics-server", target.MetricsServer, cluster)
		web.MetricsServer = metrics.Ready
	}
}

// provideCertificate requests a certificate for the host of the ALB if the configuration asks for a new one.
func provideCertificate(b *component.Builder, target *config.Kubernetes) error {
	ingress := target.Web.Ingress
	if ingress == nil || ingress.ALB == nil {
		return nil
	}
	if target.Certificate != nil {
		ingress.ALB.CertificateARN = component.Create(b, aws.NewCertificate, webName, target.Certificate).ARN
	}
	if ingress.ALB.CertificateARN != nil || ingress.ALB.Scheme != "internet-facing" {
		return nil
	}
	// A change of the certificate's source may have left none. It is no error: a trial may do without.
	return b.Context.Log.Warn("the load balancer is on the internet and serves plain HTTP: "+
		"neither certificateArn nor hostedZoneId is set", nil)
}

// bind returns the bindings of the app to its Redis and to the secrets of the configuration. It runs a Redis in the
// namespace, creates an ElastiCache, or refers to an external Redis; the app is configured the same way for all three.
func bind(
	b *component.Builder, cfg *config.Config, eks *aws.Cluster, namespace *kube.Namespace, cluster pulumi.ResourceOption,
) []kube.Binding {
	bindings, target := bindSecrets(b, cfg, namespace, cluster), cfg.Kubernetes
	if !cfg.UsesRedis {
		return bindings
	}
	secretArgs := &kube.RedisSecretArgs{Namespace: namespace.Name, Password: cfg.RedisPassword}
	if target.RedisCA != "" {
		secretArgs.CA = pulumi.String(target.RedisCA)
	}
	secret := component.Create(b, kube.NewRedisSecret, "redis", secretArgs, cluster)
	var connection redis.Connection
	switch {
	case target.ElastiCache != nil:
		connection = createElastiCache(b, cfg, eks)
	case target.External != nil:
		connection = *target.External
	default:
		args := target.Redis
		args.Namespace, args.Secret = namespace.Name, secret
		args.Clients = []map[string]string{kube.WebAppPods(webName)}
		connection = component.Create(b, kube.NewRedis, "redis", args, cluster).Connection
	}
	return append(bindings, secret.Bind(connection, cfg.RedisEnvironment))
}

// createElastiCache creates an ElastiCache in the VPC of the cluster's nodes.
func createElastiCache(b *component.Builder, cfg *config.Config, eks *aws.Cluster) redis.Connection {
	args := cfg.Kubernetes.ElastiCache
	args.Password, args.VPC = cfg.RedisPassword, eks.VPC
	others, _ := args.Clients.(pulumi.StringArray)
	args.Clients = append(pulumi.StringArray{eks.SecurityGroup}, others...)
	if args.Subnets == nil {
		args.Subnets = eks.Subnets
	}
	return component.Create(b, aws.NewElastiCache, "redis", args).Connection
}

// bindSecrets stores the secret variables and files of the configuration, if there are any.
func bindSecrets(
	b *component.Builder, cfg *config.Config, namespace *kube.Namespace, cluster pulumi.ResourceOption,
) []kube.Binding {
	variables, files := cfg.App.SecretEnvironment, cfg.App.SecretFiles
	if len(variables)+len(files) == 0 {
		return nil
	}
	data := maps.Clone(variables)
	for name, value := range files {
		data[path.Base(name)] = value
	}
	args := &kube.SecretArgs{Namespace: namespace.Name, Data: data}
	secret := component.Create(b, kube.NewSecret, webName+"-secrets", args, cluster)
	binding := kube.Binding{SecretEnv: map[string]kube.SecretKey{}}
	for name := range variables {
		binding.SecretEnv[name] = kube.SecretKey{Secret: secret.Ref, Key: name}
	}
	byDir := map[string][]string{}
	for _, name := range slices.Sorted(maps.Keys(files)) {
		byDir[path.Dir(name)] = append(byDir[path.Dir(name)], path.Base(name))
	}
	for _, dir := range slices.Sorted(maps.Keys(byDir)) {
		binding.Files = append(binding.Files, kube.SecretFiles{Dir: dir, Secret: secret.Ref, Keys: byDir[dir]})
	}
	return []kube.Binding{binding}
}

// export exports the app's address and the commands to run next.
func export(ctx *pulumi.Context, namespace *kube.Namespace, web *kube.WebApp) {
	ctx.Export("url", web.URL)
	ctx.Export("namespace", namespace.Name)
	ctx.Export("deployment", web.Deployment)
	ctx.Export("hpa", web.Autoscaler)
	ctx.Export("nextCommands", pulumi.StringArray{
		pulumi.Sprintf("curl %s", web.URL),
		pulumi.Sprintf("kubectl -n %s get hpa --watch", namespace.Name),
		pulumi.Sprintf("kubectl -n %s get pods --watch", namespace.Name),
	})
}

// exportCapacity exports the resource requests of the pods and the limits of the nodes.
func exportCapacity(ctx *pulumi.Context, c config.Capacity) {
	requests := pulumi.StringMap{
		"atMin":          pulumi.String(c.Requests.AtMin.String()),
		"atMax":          pulumi.String(c.Requests.AtMax.String()),
		"atMaxInRollout": pulumi.String(c.Requests.AtMaxInRollout.String()),
	}
	if c.CPULimit != pulumi.String("") {
		requests["nodeLimits"] = pulumi.Sprintf("%s CPU, %s", c.CPULimit, c.MemoryLimit)
	}
	ctx.Export("requests", requests)
}
