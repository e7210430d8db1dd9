# rotel
rotel start --exporter otlp --otlp-exporter-endpoint http://127.0.0.1:4318 --otlp-exporter-protocol http
