{{- /* What no schema can say, as it is between values. Everything that is wrong is said at once. */ -}}
{{- define "mreg.checks" -}}
{{- $faults := list -}}
{{- $v := .Values -}}
{{- if include "mreg.embedded" . -}}
{{- if ne (include "mreg.replicas" .) "1" -}}
{{- $faults = append $faults (printf "replicaCount: %s; mode embedded is SQLite, which belongs to one process: leave it out, or use mode distributed" (include "mreg.replicas" .)) -}}
{{- end -}}
{{- if $v.autoscaling.enabled -}}
{{- $faults = append $faults "autoscaling.enabled: mode embedded has one replica; use mode distributed" -}}
{{- end -}}
{{- if gt (int $v.server.workers) 1 -}}
{{- $faults = append $faults (printf "server.workers: %d; mode embedded has one process, use mode distributed" (int $v.server.workers)) -}}
{{- end -}}
{{- if or $v.database.existingSecret $v.database.migrations.existingSecret -}}
{{- $faults = append $faults "database: mode embedded has its own; use mode distributed, or leave the secrets out" -}}
{{- end -}}
{{- if or $v.objectStore.endpoint $v.objectStore.existingSecret -}}
{{- $faults = append $faults "objectStore: mode embedded keeps bytes on its volume; use mode distributed, or leave it out" -}}
{{- end -}}
{{- else -}}
{{- if not $v.database.existingSecret -}}
{{- $faults = append $faults "database.existingSecret: name a secret with the address of PostgreSQL under the key database.urlKey" -}}
{{- end -}}
{{- if not $v.objectStore.endpoint -}}
{{- $faults = append $faults "objectStore.endpoint: give host:port of the S3 store" -}}
{{- end -}}
{{- if not $v.objectStore.existingSecret -}}
{{- $faults = append $faults "objectStore.existingSecret: name a secret with the keys of the bucket" -}}
{{- end -}}
{{- end -}}
{{- if and (not $v.tls.existingSecret) (not $v.tls.insecurePlaintext) -}}
{{- $faults = append $faults "tls.existingSecret: name a secret of type kubernetes.io/tls; or set tls.insecurePlaintext where something else encrypts" -}}
{{- end -}}
{{- if and $v.tls.existingSecret $v.tls.insecurePlaintext -}}
{{- $faults = append $faults "tls: existingSecret and insecurePlaintext contradict each other; leave one out" -}}
{{- end -}}
{{- if and $v.tls.mtls.enabled (not (and $v.tls.existingSecret $v.tls.mtls.caSecret)) -}}
{{- $faults = append $faults "tls.mtls: needs tls.existingSecret and tls.mtls.caSecret" -}}
{{- end -}}
{{- if and $v.autoscaling.enabled (gt (int $v.autoscaling.minReplicas) (int $v.autoscaling.maxReplicas)) -}}
{{- $faults = append $faults (printf "autoscaling: minReplicas %d is above maxReplicas %d" (int $v.autoscaling.minReplicas) (int $v.autoscaling.maxReplicas)) -}}
{{- end -}}
{{- $ports := list (int $v.server.grpcPort) (int $v.server.metricsPort) (int $v.server.healthPort) -}}
{{- if $v.tls.mtls.enabled }}{{ $ports = append $ports (int $v.tls.mtls.port) }}{{ end -}}
{{- if ne (len $ports) (len (uniq $ports)) -}}
{{- $faults = append $faults "server: two of grpcPort, metricsPort, healthPort and tls.mtls.port are the same" -}}
{{- end -}}
{{- if and $v.controller.enabled $v.tls.existingSecret (not $v.controller.caSecret) (not $v.controller.endpoint) -}}
{{- $faults = append $faults "controller.caSecret: name a secret with the authorities of the registry's certificate" -}}
{{- end -}}
{{- if and $v.controller.enabled (not $v.controller.tokenSecret) (not $v.auth.kubernetes.enabled) (not $v.controller.endpoint) -}}
{{- $faults = append $faults "controller.tokenSecret: name a secret with a token; or set auth.kubernetes.enabled, and it comes as its service account" -}}
{{- end -}}
{{- if and $v.kserve.enabled (not $v.tls.existingSecret) (not $v.kserve.endpoint) -}}
{{- $faults = append $faults "kserve: mreg-fetch speaks TLS; give tls.existingSecret, or kserve.endpoint of a registry that has it" -}}
{{- end -}}
{{- if $faults -}}
{{- fail (printf "\n%s" (join "\n" $faults)) -}}
{{- end -}}
{{- end -}}
