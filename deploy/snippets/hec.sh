# hec
curl -sS http://127.0.0.1:8088/services/collector -H "Authorization: Splunk TOKEN" -d '{"time": 1764000030, "event":
"metric", "fields": {"metric_name:tcp.bytes": 48211, "k8s.cluster.name": "prod-eu", "source.namespace.name": "shop",
"source.workload.name": "checkout", "source.process.name": "java", "dest.workload.name": "api.example.com"}}'
