#!/bin/sh
# Makes the files that compose.yaml hands to its services, each readable for the one user that needs it. Run it once, as
# root; the provider's key is read from the environment (RIVYA_API_KEY), or made up for the sandbox. What is there stays.
set -eu
cd "$(dirname "$0")"
umask 077
mkdir -p secrets

random() { od -An -N24 -tx1 /dev/urandom | tr -d ' \n'; }

# put NAME USER CONTENT
put() {
    [ -e "secrets/$1" ] || printf '%s\n' "$3" >"secrets/$1"
    chown "$2" "secrets/$1"
    chmod 0400 "secrets/$1"
}

postgres=$(random)
[ ! -e secrets/postgres-password ] || postgres=$(cat secrets/postgres-password)
valkey=$(random)
[ ! -e secrets/valkey-conf ] || valkey=$(sed -n 's/^requirepass //p' secrets/valkey-conf)

put postgres-password 0 "$postgres"
put valkey-conf 999 "requirepass $valkey
appendonly no"
put database-url 10001 "postgresql://darkroom:$postgres@postgres/darkroom"
put broker-url 10001 "redis://:$valkey@valkey:6379/0"
put api-key 10001 "${RIVYA_API_KEY:-rvya_sk_$(random)}"
put grafana-password 472 "$(random)"
put prometheus-token 65534 "none yet: darkroom token create prometheus --right read --all-owners"
