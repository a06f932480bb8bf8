{{- /* Settings as environment; docs/operations.md says what each means. */ -}}
{{- define "mreg.environment" -}}
{{- $v := .Values -}}
{{- $mode := ternary "tls" "plaintext" (ne $v.tls.existingSecret "") -}}
{{- $listen := list (printf "%s://%s:%d" $mode $v.server.bindAddress (int $v.server.grpcPort)) -}}
{{- if $v.tls.mtls.enabled -}}
{{- $listen = append $listen (printf "mtls://%s:%d" $v.server.bindAddress (int $v.tls.mtls.port)) -}}
{{- end -}}
- {name: MREG_DATA_DIR, value: /var/lib/mreg}
- {name: MREG_LISTEN, value: {{ join "," $listen | quote }}}
- {name: MREG_HEALTH_LISTEN, value: {{ printf "%s:%d" $v.server.bindAddress (int $v.server.healthPort) | quote }}}
- {name: MREG_METRICS_LISTEN, value: {{ printf "%s:%d" $v.server.bindAddress (int $v.server.metricsPort) | quote }}}
- {name: MREG_WORKERS, value: {{ int $v.server.workers | quote }}}
- {name: MREG_DRAIN_S, value: {{ int $v.server.drainSeconds | quote }}}
- {name: MREG_DRAIN_WAIT_S, value: {{ int $v.server.drainWaitSeconds | quote }}}
- {name: MREG_LOG_LEVEL, value: {{ $v.server.logLevel }}}
- {name: MREG_LOG_FORMAT, value: json}
{{- if $v.tls.existingSecret }}
- {name: MREG_TLS_CERT, value: {{ printf "/etc/mreg/tls/%s" $v.tls.certKey }}}
- {name: MREG_TLS_KEY, value: {{ printf "/etc/mreg/tls/%s" $v.tls.keyKey }}}
{{- else }}
- {name: MREG_INSECURE_PLAINTEXT, value: "true"}
{{- end }}
{{- if $v.tls.mtls.enabled }}
- {name: MREG_TLS_CLIENT_CA, value: {{ printf "/etc/mreg/client-ca/%s" $v.tls.mtls.caKey }}}
{{- end }}
{{- if $v.auth.adminToken.existingSecret }}
- {name: MREG_ADMIN_TOKEN_FILE, value: {{ printf "/etc/mreg/admin-token/%s" $v.auth.adminToken.key }}}
{{- end }}
{{- with include "mreg.issuers" . }}
- {name: MREG_ISSUERS, value: {{ . | quote }}}
{{- end }}
{{- if $v.secrets.webhooks.existingSecret }}
- {name: MREG_SECRETS_KEY_FILE, value: {{ printf "/etc/mreg/webhooks/%s" $v.secrets.webhooks.key }}}
{{- end }}
{{- if $v.secrets.audit.existingSecret }}
- {name: MREG_AUDIT_KEY_FILE, value: {{ printf "/etc/mreg/audit/%s" $v.secrets.audit.key }}}
{{- end }}
{{- if not (include "mreg.embedded" .) }}
- {name: MREG_DATABASE_URL_FILE, value: {{ printf "/etc/mreg/database/%s" $v.database.urlKey }}}
- {name: MREG_DB_POOL_SIZE, value: {{ int $v.database.poolSize | quote }}}
- {name: MREG_ARTIFACT_STORE, value: s3}
- {name: MREG_S3_ENDPOINT, value: {{ $v.objectStore.endpoint | quote }}}
{{- with $v.objectStore.publicEndpoint }}
- {name: MREG_S3_PUBLIC_ENDPOINT, value: {{ . | quote }}}
{{- end }}
- {name: MREG_S3_BUCKET, value: {{ $v.objectStore.bucket | quote }}}
- {name: MREG_S3_REGION, value: {{ $v.objectStore.region | quote }}}
- {name: MREG_S3_SECURE, value: {{ $v.objectStore.tls | quote }}}
- {name: MREG_STORAGE_CAPACITY_BYTES, value: {{ int64 $v.objectStore.capacityBytes | quote }}}
- name: MREG_S3_ACCESS_KEY
  valueFrom: {secretKeyRef: {name: {{ $v.objectStore.existingSecret }}, key: {{ $v.objectStore.accessKeyKey }}}}
- {name: MREG_S3_SECRET_KEY_FILE, value: {{ printf "/etc/mreg/object-store/%s" $v.objectStore.secretKeyKey }}}
{{- end }}
{{- range $name, $value := $v.server.settings }}
- {name: {{ printf "MREG_%s" (upper $name) }}, value: {{ include "mreg.text" $value | quote }}}
{{- end }}
{{- with $v.extraEnv }}
{{ toYaml . }}
{{- end }}
{{- end -}}

{{- /* A number as it was written, not as 5.24288e+06; a list with commas. */ -}}
{{- define "mreg.text" -}}
{{- if kindIs "slice" . -}}
{{- join "," . -}}
{{- else if and (kindIs "float64" .) (eq (floor .) .) -}}
{{- int64 . -}}
{{- else -}}
{{- . -}}
{{- end -}}
{{- end -}}

{{- /* Issuers as the JSON the server takes; nothing when there are none. */ -}}
{{- define "mreg.issuers" -}}
{{- $issuers := .Values.auth.issuers -}}
{{- with .Values.auth.kubernetes -}}
{{- if .enabled -}}
{{- $own := dict "id" .id "issuer" .issuer "audience" .audience "ca_file" "/var/run/secrets/mreg-kubernetes/ca.crt" "token_file" "/var/run/secrets/mreg-kubernetes/token" -}}
{{- $issuers = append $issuers $own -}}
{{- end -}}
{{- end -}}
{{- if $issuers }}{{ toJson $issuers }}{{ end -}}
{{- end -}}

{{- define "mreg.mounts" -}}
{{- $v := .Values -}}
- {name: data, mountPath: /var/lib/mreg}
- {name: tmp, mountPath: /tmp}
{{- if not (include "mreg.embedded" .) }}
- {name: database, mountPath: /etc/mreg/database, readOnly: true}
- {name: object-store, mountPath: /etc/mreg/object-store, readOnly: true}
{{- end }}
{{- if $v.tls.existingSecret }}
- {name: tls, mountPath: /etc/mreg/tls, readOnly: true}
{{- end }}
{{- if $v.tls.mtls.enabled }}
- {name: client-ca, mountPath: /etc/mreg/client-ca, readOnly: true}
{{- end }}
{{- if $v.auth.adminToken.existingSecret }}
- {name: admin-token, mountPath: /etc/mreg/admin-token, readOnly: true}
{{- end }}
{{- if $v.auth.kubernetes.enabled }}
- {name: kubernetes, mountPath: /var/run/secrets/mreg-kubernetes, readOnly: true}
{{- end }}
{{- if $v.secrets.webhooks.existingSecret }}
- {name: webhooks, mountPath: /etc/mreg/webhooks, readOnly: true}
{{- end }}
{{- if $v.secrets.audit.existingSecret }}
- {name: audit, mountPath: /etc/mreg/audit, readOnly: true}
{{- end }}
{{- with $v.extraVolumeMounts }}
{{ toYaml . }}
{{- end }}
{{- end -}}

{{- define "mreg.volumes" -}}
{{- $v := .Values -}}
{{- if include "mreg.embedded" . }}
- name: data
  persistentVolumeClaim:
    claimName: {{ default (include "mreg.fullname" .) $v.embedded.existingClaim }}
{{- else }}
- name: data
  emptyDir: {}
- name: database
  secret:
    secretName: {{ $v.database.existingSecret }}
    items: [{key: {{ $v.database.urlKey }}, path: {{ $v.database.urlKey }}}]
- name: object-store
  secret:
    secretName: {{ $v.objectStore.existingSecret }}
    items: [{key: {{ $v.objectStore.secretKeyKey }}, path: {{ $v.objectStore.secretKeyKey }}}]
{{- end }}
- name: tmp
  emptyDir: {sizeLimit: {{ $v.tmpSizeLimit }}}
{{- /* Whole directories, no subPath: files of a secret that is renewed change in the pod. */}}
{{- if $v.tls.existingSecret }}
- name: tls
  secret: {secretName: {{ $v.tls.existingSecret }}}
{{- end }}
{{- if $v.tls.mtls.enabled }}
- name: client-ca
  secret: {secretName: {{ $v.tls.mtls.caSecret }}}
{{- end }}
{{- if $v.auth.adminToken.existingSecret }}
- name: admin-token
  secret: {secretName: {{ $v.auth.adminToken.existingSecret }}}
{{- end }}
{{- if $v.auth.kubernetes.enabled }}
- name: kubernetes
  projected:
    sources:
      - serviceAccountToken: {path: token, expirationSeconds: 3600}
      - configMap: {name: kube-root-ca.crt, items: [{key: ca.crt, path: ca.crt}]}
{{- end }}
{{- if $v.secrets.webhooks.existingSecret }}
- name: webhooks
  secret: {secretName: {{ $v.secrets.webhooks.existingSecret }}}
{{- end }}
{{- if $v.secrets.audit.existingSecret }}
- name: audit
  secret: {secretName: {{ $v.secrets.audit.existingSecret }}}
{{- end }}
{{- with $v.extraVolumes }}
{{ toYaml . }}
{{- end }}
{{- end -}}
