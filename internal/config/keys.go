package config

import "strings"

// renamed maps the keys of earlier versions to the current ones.
var renamed = map[string]string{
	"clientCidrs": "loadBalancerCidrs", "elasticacheClients": "elasticacheSecurityGroups",
	"installAlbClass": "installAlbIngressClass",
}

// keys maps the fields of the components' arguments to their configuration keys, for filling the fields and for
// naming them in messages. A problem of a field without an entry is reported under the enclosing field.
var keys = keysOfFields()

// fields lists the fields that have a configuration key, by the path of their struct. The key is the name of the field,
// after the prefix if there is one (elasticache and engineVersion: elasticacheEngineVersion), or what follows a =.
var fields = []struct{ path, prefix, names string }{
	{"build", "", "context=buildContext dockerfile=buildDockerfile platform=imagePlatform buildArgs=imageBuildArgs"},
	{"build", "", "username=registryUsername revision=imageRevision"},
	{"ecr", "ecr", "name=ecrRepository keepImages kmsKeyArn forceDelete"},
	{"certificate", "", "domain=host zoneId=hostedZoneId"},
	{"record", "", "host zoneId=hostedZoneId"},

	{"kind", "", "context=kubeContext"},
	{"eks", "eks", "name=eksCluster region=aws:region roleArn"},
	{"nodes", "", "cpu=nodeCpuLimit memory=nodeMemoryLimit"},
	{"namespace", "", "name=namespace podSecurityVersion albController"},
	{"traefik", "", "image=traefikImage redirectPort=publicPort longestRequest=longestRequestSeconds"},
	{"metricsServer", "metricsServer", "image"},
	{"albClass", "", "name=ingressClass controller=albController"},

	{"web", "", "labels serviceAccountAnnotations pullSecrets=imagePullSecrets rolloutTimeoutSeconds"},
	{"web", "", "allowFrom=loadBalancerCidrs allowFrom.namespace=ingressNamespace allowTo=egressCidrs"},
	{"web.container", "", "command args port user env=environment writablePaths"},
	{"web.container.metrics", "metrics", "port path"},
	{"web.container.probes", "", "liveness.http=livePath readiness.http=readyPath"},
	{"web.container.drainEnv", "", "delay=drainDelayVariable timeout=drainTimeoutVariable"},
	{"web.container.resources", "", "cpuRequest cpuLimit memoryLimit memoryRequest ephemeralStorage"},
	{"web.placement", "", "nodeSelector priorityClass architecture=imagePlatform"},
	{"web.scaling", "", "fixed=replicas min=minReplicas max=maxReplicas targetCpuUtilization tolerance=scaleTolerance"},
	{"web.scaling", "", "scaleUpWindowSeconds scaleUpPercent"},
	{"web.scaling", "", "scaleDownWindowSeconds scaleDownPercent scaleDownPeriodSeconds"},
	{"web.route", "", "class=ingressClass hosts=host paths publicPort tlsSecret annotations=ingressAnnotations"},
	{"web.route.alb", "alb", "controller scheme tlsPolicy group accessLogsBucket accessLogsPrefix webAclArn"},
	{"web.route.alb", "", "certificateArn"},
	{"web.drain", "", "loadBalancerDelay=loadBalancerDelaySeconds longestRequest=longestRequestSeconds"},

	{"redis", "redis", "image storageSize storageClass fsync volume protect"},
	{"connection", "redis", "host port username tls"},
	{"elasticache", "elasticache", "name engine engineVersion backupDays kmsKeyArn access protect"},
	{"elasticache.replicas", "elasticache", "nodeType count=elasticacheReplicas maintenanceWindow finalSnapshot"},
	{"elasticache.serverless", "elasticache", "maxGigabytes maxEcpus"},

	{"prometheus", "prometheus", "image retentionDays storageSize storageClass"},
	{"prometheus.alerts", "", "namespace runbook=runbookUrl"},
	{"prometheus.alerts.objectives", "slo", "availabilityPercent fastPercent fastMilliseconds histogram selector"},

	{"docker.network", "", "name=namespace"},
	{"docker.web", "", "command args port user env=environment writablePaths replicas"},
	{"docker.web.limits", "", "cpu=cpuLimit memory=memoryLimit"},
	{"docker.web.drain", "", "serveVariable=drainDelayVariable timeoutVariable=drainTimeoutVariable"},
	{"docker.web.drain", "", "serve=loadBalancerDelaySeconds longestRequest=longestRequestSeconds"},
	{"docker.nginx", "", "publicPort balancing=nginxBalancing longestRequestSeconds maxBodyKilobytes"},
}

func keysOfFields() map[string]string {
	all := map[string]string{}
	for _, f := range fields {
		for _, field := range strings.Fields(f.names) {
			name, key, given := strings.Cut(field, "=")
			if !given && f.prefix == "" {
				key = name
			} else if !given {
				key = f.prefix + strings.ToUpper(name[:1]) + name[1:]
			}
			all[f.path+"."+name] = key
		}
	}
	return all
}
