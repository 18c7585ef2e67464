package docker

import (
	"strings"
	"text/template"

	"k8s.io/apimachinery/pkg/util/validation/field"

	"example.com/scaleout/internal/check"
)

// Upstream is a group of servers behind nginx.
type Upstream struct {
	// Host is a DNS name, beginning with a letter, that may have any number of addresses. Required.
	Host string
	// Port of the servers. Required.
	Port int
	// Weight is how many requests each of them gets for one that a server of weight 1 gets. 1 to 1000. Required.
	Weight int
}

// Validate reports everything wrong with the upstream.
func (u Upstream) Validate() field.ErrorList {
	problems := check.Range("port", u.Port, 1, 65535)
	problems = append(problems, check.Range("weight", u.Weight, 1, 1000)...)
	if !check.IsDNSName(u.Host) || u.Host[0] < 'a' {
		problems = append(problems, check.Invalid("host", u.Host, "must be a DNS name that begins with a letter")...)
	}
	return problems
}

// Balancing methods of nginx: https://nginx.org/en/docs/http/load_balancing.html
const (
	// RoundRobin asks one server after the other.
	RoundRobin = "roundRobin"
	// LeastConnections asks the one with the fewest requests under way, which helps where some take long.
	LeastConnections = "leastConnections"
)

// NginxSettings are the decisions about nginx.
type NginxSettings struct {
	// PublicPort on the host's loopback address. 1 to 65535. Required.
	PublicPort int
	// Limits of the container. Required.
	Limits Limits
	// Workers is the number of processes that serve. One worker keeps a core busy. Required.
	Workers int
	// Balancing is RoundRobin or LeastConnections. Required.
	Balancing string
	// MaxFails is after how many failed attempts within FailTimeoutSeconds a server is not asked for just as long. An
	// attempt fails if no answer comes, not if the answer is an error. With more than 1, a request that is tried again
	// may meet the same server again. At least 1. Required.
	MaxFails           int
	FailTimeoutSeconds int
	// IdleConnections is how many connections to the servers each worker keeps open for the next request. Required.
	IdleConnections int
	// MaxBodyKilobytes is the largest request body, up to 4096: bodies wait in memory. MaxHeaderKilobytes is the longest
	// line of a head, which may be four times as large; nginx answers a longer one with 400 or 414, so it should be no
	// less than what the servers take. nginx sets memory aside only for a head above 1 KB. Required.
	MaxBodyKilobytes, MaxHeaderKilobytes int
	// LongestRequestSeconds is what the servers need to answer, and what nginx waits for. 1 to 3000. Required.
	LongestRequestSeconds int
}

// Validate reports everything wrong with the settings.
func (s *NginxSettings) Validate() field.ErrorList {
	problems := check.Range("publicPort", s.PublicPort, 1, 65535)
	problems = append(problems, check.In("limits", s.Limits.Validate())...)
	problems = append(problems, check.Range("longestRequestSeconds", s.LongestRequestSeconds, 1, 3000)...)
	problems = append(problems, check.Range("workers", s.Workers, 1, 1024)...)
	problems = append(problems, check.OneOf("balancing", s.Balancing, RoundRobin, LeastConnections)...)
	problems = append(problems, check.Range("maxFails", s.MaxFails, 1, 1000)...)
	problems = append(problems, check.Range("failTimeoutSeconds", s.FailTimeoutSeconds, 1, 3600)...)
	problems = append(problems, check.Range("idleConnections", s.IdleConnections, 1, 10000)...)
	problems = append(problems, check.Range("maxBodyKilobytes", s.MaxBodyKilobytes, 1, 4096)...)
	return append(problems, check.Range("maxHeaderKilobytes", s.MaxHeaderKilobytes, 1, 1024)...)
}

// shutdownSeconds is how long a worker that is to end may take: the longest that a request may, attempts that find
// nobody included.
func (s *NginxSettings) shutdownSeconds() int {
	return nginxAttempts*nginxConnect + s.LongestRequestSeconds
}

const (
	// Ports in the container; an unprivileged process may not listen below 1024.
	nginxHTTP   = 8080
	nginxStatus = 8081

	// nginxConnect is how many seconds a server may take to accept a connection. In one network it takes less than a
	// millisecond, or never happens: packets to a container that was killed get lost without an answer.
	nginxConnect = 1
	// nginxAttempts is how many servers a request is offered to, as long as none gets any of it.
	nginxAttempts = 3
	// nginxIdle is after how many seconds nginx closes a connection that nobody uses. The app does so after 75, and it
	// must not be the first: a request that crosses with its close would be lost.
	nginxIdle = 60
	// nginxKillMargin is what Docker and the process need around the times above.
	nginxKillMargin = 5
	nginxUser       = 65532
)

// nginxConf is what the template gets.
type nginxConf struct {
	NginxSettings
	Upstreams                                []Upstream
	LeastConnections                         bool
	HTTP, Status                             string // addresses to listen on
	ConnectSeconds, AnswerSeconds, IdleTime  int
	ShutdownSeconds, RetryAfter, HeadSeconds int
	Again                                    int // attempts after the first
}

// nginxConfiguration is a configuration for nginx 1.22 and later, whose folder (-p) is the only one that it writes to.
func nginxConfiguration(s NginxSettings, upstreams []Upstream, http, status string) (string, error) {
	var conf strings.Builder
	err := nginxTemplate.Execute(&conf, nginxConf{
		NginxSettings: s, Upstreams: upstreams, LeastConnections: s.Balancing == LeastConnections,
		HTTP: http, Status: status,
		ConnectSeconds: nginxConnect, AnswerSeconds: s.LongestRequestSeconds, IdleTime: nginxIdle,
		ShutdownSeconds: s.shutdownSeconds(), RetryAfter: 1, HeadSeconds: 5, Again: nginxAttempts - 1,
	})
	return conf.String(), err
}

// nginxTemplate sends no request twice that may have been counted. nginx's own proxy_next_upstream would: it takes
// every GET for safe to repeat, and does not tell a server that could not be reached from one that died over the
// request (https://nginx.org/en/docs/http/ngx_http_proxy_module.html#proxy_next_upstream). So it is off, and a request
// that failed goes to another server only if not a byte of it was sent to the first.
var nginxTemplate = template.Must(template.New("nginx.conf").Parse(`worker_processes {{.Workers}};
worker_shutdown_timeout {{.ShutdownSeconds}}s; # requests that a reload or a stop finds under way
worker_rlimit_nofile 8192; # one file for the client and one for the server of each connection
pid nginx.pid;
error_log stderr warn;

events {
    worker_connections 4096;
}

http {
    server_tokens off;
    client_body_temp_path body;
    proxy_temp_path proxy;
    fastcgi_temp_path fastcgi;
    uwsgi_temp_path uwsgi;
    scgi_temp_path scgi;

    log_format json escape=json '{"time":"$time_iso8601","id":"$request_id","client":"$remote_addr",'
        '"method":"$request_method","uri":"$request_uri","status":"$status","bytes":$body_bytes_sent,'
        '"seconds":$request_time,"upstream":"$upstream_addr","upstream_status":"$upstream_status",'
        '"upstream_seconds":"$upstream_response_time","upstream_bytes_sent":"$upstream_bytes_sent"}';
    # In batches, since each costs the Docker daemon some 60 µs. No larger: what a pipe takes at once stays in one piece.
    access_log /dev/stdout json buffer=4k flush=1s;

    upstream app {
        zone app 256k; # one state for all workers, so that they take turns together
{{- if .LeastConnections}}
        least_conn;
{{- end}}
{{- range .Upstreams}}
        server {{.Host}}:{{.Port}} weight={{.Weight}} max_fails={{$.MaxFails}} fail_timeout={{$.FailTimeoutSeconds}}s;
{{- end}}
        keepalive {{.IdleConnections}};
        keepalive_timeout {{.IdleTime}}s;
    }

    # What is known of the servers that were asked so far: one figure for each.
    map $upstream_bytes_sent $attempt {
        volatile;
        "~^[0-]( : [0-]){{"{"}}{{.Again}},}$"  spent;   # that was the last attempt
        "~^[0-]( : [0-])*$"    unsent;  # none was sent a byte
        default                sent;
    }

    # HTTP/1.0 has no Host, without which HTTP/1.1 is refused.
    map $http_host $asked_host {
        ""       localhost;
        default  $http_host;
    }

    server {
        listen {{.HTTP}};
        client_header_timeout {{.HeadSeconds}}s;
        client_body_timeout {{.AnswerSeconds}}s;
        send_timeout {{.AnswerSeconds}}s;
        client_header_buffer_size 1k;
        large_client_header_buffers 4 {{.MaxHeaderKilobytes}}k;
        client_max_body_size {{.MaxBodyKilobytes}}k;

        proxy_http_version 1.1;
        proxy_set_header Connection "";
        proxy_set_header Host $asked_host;
        proxy_set_header X-Request-ID $request_id;
        # Set, not added to: nothing in front of this server is to be believed.
        proxy_set_header X-Real-IP $remote_addr;
        proxy_set_header X-Forwarded-For $remote_addr;
        proxy_set_header X-Forwarded-Host $asked_host;
        proxy_set_header X-Forwarded-Proto $scheme;
        proxy_set_header X-Forwarded-Port "";
        proxy_set_header X-Forwarded-Server "";
        proxy_set_header Forwarded "";
        proxy_connect_timeout {{.ConnectSeconds}}s;
        proxy_send_timeout {{.AnswerSeconds}}s;
        proxy_read_timeout {{.AnswerSeconds}}s; # the app gives up sooner
        proxy_next_upstream off;
        recursive_error_pages on;

        location / {
            error_page 502 504 = @again;
            proxy_pass http://app;
        }
        location @again {
            if ($attempt = sent) {
                rewrite ^ /.lost last;
            }
            if ($attempt = spent) {
                rewrite ^ /.unavailable last;
            }
            error_page 502 504 = @again;
            proxy_pass http://app;
        }
        location = /.lost {
            internal;
            default_type text/plain;
            return 502 "The server failed over this request, which may have been counted.\n";
        }
        location = /.unavailable {
            internal;
            default_type text/plain;
            add_header Retry-After {{.RetryAfter}} always;
            return 503 "No server could be reached; nothing was counted.\n";
        }
    }

    # Not published: for the health check, and for metrics from within the network.
    server {
        listen {{.Status}};
        access_log off;
        location = /healthz {
            default_type text/plain;
            return 200 "ok\n";
        }
        location = /stub_status {
            stub_status;
        }
    }
}
`))
