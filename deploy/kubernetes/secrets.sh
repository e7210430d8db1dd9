#!/bin/sh
# Makes the Secrets that ebbtide.yaml refers to, once: a certificate for the receivers (signed by itself; with a
# cert-manager, let that make `ebbtide-tls` instead), and two tokens. Prints what collectors and people need.
set -eu
umask 077
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
namespace=${NAMESPACE:-ebbtide}

kubectl get namespace "$namespace" >/dev/null 2>&1 || kubectl create namespace "$namespace"

openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 825 -subj "/CN=ebbtide" \
  -addext "subjectAltName=DNS:ebbtide.$namespace.svc,DNS:ebbtide.$namespace.svc.cluster.local" \
  -keyout "$folder/tls.key" -out "$folder/tls.crt" 2>/dev/null
kubectl -n "$namespace" create secret tls ebbtide-tls --cert="$folder/tls.crt" --key="$folder/tls.key"

printf 'ebt_%s' "$(openssl rand -hex 32)" >"$folder/collector"
printf 'ebbtide_%s' "$(openssl rand -hex 32)" >"$folder/web-admin"
sha256sum "$folder/collector" | cut -d' ' -f1 >"$folder/collector-sha256"
kubectl -n "$namespace" create secret generic ebbtide-tokens \
  --from-file="$folder/collector-sha256" --from-file="$folder/web-admin"

echo "To be kept where secrets are kept; the cluster holds only the first one's SHA-256:"
echo "collectors send:  Authorization: Bearer $(cat "$folder/collector")"
echo "people log in with:  $(cat "$folder/web-admin")"
echo "collectors trust (ca_file):"
cat "$folder/tls.crt"
