module scaleout/balancer

go 1.26
