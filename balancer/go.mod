module example.com/scaleout/balancer

go 1.26.7
