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
	"example.com/scaleout/internal/config"
)

// webName is the name of the web app, which the network policy of Redis refers to before the app exists.
const webName = "web"

// deployToKubernetes runs the app in a cluster, with an autoscaler.
func deployToKubernetes(
	ctx *pulumi.Context, cfg *config.Config, target *config.Kubernetes, image pulumi.StringOutput,
) error {
	provider, eks, err := connect(ctx, target)
	if err != nil {
		return err
	}
	cluster := pulumi.Providers(provider)
	if err := installAddons(ctx, target, cluster); err != nil {
		return err
	}
	namespace, err := kube.NewNamespace(ctx, "namespace", &target.Namespace, cluster)
	if err != nil {
		return err
	}
	web := &target.Web
	web.Namespace, web.Container.Image = namespace.Name, image
	web.AllowFrom = append(web.AllowFrom, scrapers(cfg, target)...)
	if err := provideCertificate(ctx, target); err != nil {
		return err
	}
	if web.Bindings, err = bind(ctx, cfg, target, eks, namespace, cluster); err != nil {
		return err
	}
	app, err := kube.NewWebApp(ctx, webName, web, cluster)
	if err != nil {
		return err
	}
	if err := nameLoadBalancer(ctx, target, app); err != nil {
		return err
	}
	if err := monitor(ctx, cfg, target, namespace, cluster); err != nil {
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
func connect(ctx *pulumi.Context, target *config.Kubernetes) (*kubernetes.Provider, *aws.Cluster, error) {
	if target.EKS == nil {
		provider, err := kube.NewKindProvider(ctx, "cluster", target.Kind)
		return provider, nil, err
	}
	found, eks := aws.LookupCluster(ctx, target.EKS.Name), *target.EKS
	eks.Endpoint, eks.CertificateAuthority, eks.ARN = found.Endpoint, found.CertificateAuthority, found.ARN
	provider, err := kube.NewEKSProvider(ctx, "cluster", eks)
	return provider, &found, err
}

// installAddons installs what the cluster does not have, and makes the app depend on it.
func installAddons(ctx *pulumi.Context, target *config.Kubernetes, cluster pulumi.ResourceOption) error {
	if target.Traefik != nil {
		traefik, err := addons.NewTraefik(ctx, config.TraefikName, target.Traefik, cluster)
		if err != nil {
			return err
		}
		target.Web.IngressController = traefik.Ready
	}
	if target.ALBClass != nil {
		class, err := kube.NewALBClass(ctx, "alb", target.ALBClass, cluster)
		if err != nil {
			return err
		}
		target.Web.IngressController = class.Ready
	}
	if target.MetricsServer != nil {
		metrics, err := addons.NewMetricsServer(ctx, "metrics-server", target.MetricsServer, cluster)
		if err != nil {
			return err
		}
		target.Web.MetricsServer = metrics.Ready
	}
	return nil
}

// bind returns the bindings of the app to its Redis and to the secrets of the configuration.
func bind(
	ctx *pulumi.Context, cfg *config.Config, target *config.Kubernetes, eks *aws.Cluster, namespace *kube.Namespace,
	cluster pulumi.ResourceOption,
) ([]kube.Binding, error) {
	bindings, err := bindSecrets(ctx, cfg, namespace, cluster)
	if err != nil || !cfg.UsesRedis {
		return bindings, err
	}
	secretArgs := &kube.RedisSecretArgs{Namespace: namespace.Name, Password: cfg.RedisPassword}
	if target.RedisCA != "" {
		secretArgs.CA = pulumi.String(target.RedisCA)
	}
	secret, err := kube.NewRedisSecret(ctx, "redis", secretArgs, cluster)
	if err != nil {
		return nil, err
	}
	connection, err := connectRedis(ctx, cfg, target, eks, namespace, secret, cluster)
	if err != nil {
		return nil, err
	}
	return append(bindings, secret.Bind(connection, cfg.RedisEnvironment)), nil
}

// connectRedis runs a Redis in the namespace, creates an ElastiCache, or refers to an external Redis. The app is
// configured the same way for all three.
func connectRedis(
	ctx *pulumi.Context, cfg *config.Config, target *config.Kubernetes, eks *aws.Cluster, namespace *kube.Namespace,
	secret *kube.RedisSecret, cluster pulumi.ResourceOption,
) (redis.Connection, error) {
	switch {
	case target.ElastiCache != nil:
		return createElastiCache(ctx, cfg, target.ElastiCache, eks)
	case target.External != nil:
		return *target.External, nil
	}
	args := target.Redis
	args.Namespace, args.Secret = namespace.Name, secret
	args.Clients = []map[string]string{kube.WebAppPods(webName)}
	server, err := kube.NewRedis(ctx, "redis", args, cluster)
	if err != nil {
		return redis.Connection{}, err
	}
	return server.Connection, nil
}

// bindSecrets stores the secret variables and files of the configuration, if there are any.
func bindSecrets(
	ctx *pulumi.Context, cfg *config.Config, namespace *kube.Namespace, cluster pulumi.ResourceOption,
) ([]kube.Binding, error) {
	variables, files := cfg.App.SecretEnvironment, cfg.App.SecretFiles
	if len(variables)+len(files) == 0 {
		return nil, nil
	}
	data := maps.Clone(variables)
	for name, value := range files {
		data[path.Base(name)] = value
	}
	args := &kube.SecretArgs{Namespace: namespace.Name, Data: data}
	secret, err := kube.NewSecret(ctx, webName+"-secrets", args, cluster)
	if err != nil {
		return nil, err
	}
	b := kube.Binding{SecretEnv: map[string]kube.SecretKey{}}
	for name := range variables {
		b.SecretEnv[name] = kube.SecretKey{Secret: secret.Ref, Key: name}
	}
	byDir := map[string][]string{}
	for _, name := range slices.Sorted(maps.Keys(files)) {
		byDir[path.Dir(name)] = append(byDir[path.Dir(name)], path.Base(name))
	}
	for _, dir := range slices.Sorted(maps.Keys(byDir)) {
		b.Files = append(b.Files, kube.SecretFiles{Dir: dir, Secret: secret.Ref, Keys: byDir[dir]})
	}
	return []kube.Binding{b}, nil
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
		"atMin":          pulumi.String(c.Demand.AtMin.String()),
		"atMax":          pulumi.String(c.Demand.AtMax.String()),
		"atMaxInRollout": pulumi.String(c.Demand.AtMaxInRollout.String()),
	}
	if c.CPULimit != pulumi.String("") {
		requests["nodeLimits"] = pulumi.Sprintf("%s CPU, %s", c.CPULimit, c.MemoryLimit)
	}
	ctx.Export("requests", requests)
}
