// Package aws provides the AWS resources that a web app on Amazon EKS needs besides the cluster.
//
//	ECRRepository       a registry repository for its image
//	Certificate         a certificate of AWS Certificate Manager, validated by a DNS record
//	LoadBalancerRecord  the DNS record of its load balancer
//	ElastiCache         a Redis managed by AWS, with one user of limited rights
//	LookupCluster       the endpoint and the network of an EKS cluster
//
// All resources and all look-ups use the provider of the options: for another account or region, pass another
// provider with pulumi.Provider to components and look-ups alike.
package aws
