// Package aws has what a web app on Amazon EKS needs of AWS besides the cluster.
//
//	ECRRepository       a registry repository for its image
//	Certificate         a certificate of AWS Certificate Manager, proven by a DNS record
//	LoadBalancerRecord  the DNS name that leads to its load balancer
//	ElastiCache         a Redis that AWS runs, with one user and few rights
//	LookupCluster       how an EKS cluster is reached, and the network that its nodes are in
//
// Everything that is asked of AWS, as well as everything that is created, goes through the provider of the options:
// another account or region is another provider, given by pulumi.Provider, to components and look-ups alike.
package aws
