{{- define "mreg.name" -}}
{{- default .Chart.Name .Values.nameOverride | trunc 40 | trimSuffix "-" -}}
{{- end -}}

{{- define "mreg.fullname" -}}
{{- /* 40, so that the longest suffix leaves a name of at most 63. */ -}}
{{- if .Values.fullnameOverride -}}
{{- .Values.fullnameOverride | trunc 40 | trimSuffix "-" -}}
{{- else if contains (include "mreg.name" .) .Release.Name -}}
{{- .Release.Name | trunc 40 | trimSuffix "-" -}}
{{- else -}}
{{- printf "%s-%s" .Release.Name (include "mreg.name" .) | trunc 40 | trimSuffix "-" -}}
{{- end -}}
{{- end -}}

{{- define "mreg.selector" -}}
app.kubernetes.io/name: {{ include "mreg.name" .root }}
app.kubernetes.io/instance: {{ .root.Release.Name }}
app.kubernetes.io/component: {{ .component }}
{{- end -}}

{{- define "mreg.labels" -}}
{{ include "mreg.selector" . }}
app.kubernetes.io/version: {{ .root.Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .root.Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .root.Chart.Name .root.Chart.Version | replace "+" "_" }}
{{- with .root.Values.commonLabels }}
{{ toYaml . }}
{{- end }}
{{- end -}}

{{- define "mreg.image" -}}
{{- if .Values.image.digest -}}
{{- printf "%s@%s" .Values.image.repository .Values.image.digest -}}
{{- else -}}
{{- printf "%s:%s" .Values.image.repository (default .Chart.AppVersion .Values.image.tag) -}}
{{- end -}}
{{- end -}}

{{- define "mreg.serviceAccount" -}}
{{- if .Values.serviceAccount.create -}}
{{- default (include "mreg.fullname" .) .Values.serviceAccount.name -}}
{{- else -}}
{{- default "default" .Values.serviceAccount.name -}}
{{- end -}}
{{- end -}}

{{- define "mreg.embedded" -}}
{{- if eq .Values.mode "embedded" }}true{{ end -}}
{{- end -}}

{{- define "mreg.replicas" -}}
{{- if kindIs "invalid" .Values.replicaCount -}}
{{- if include "mreg.embedded" . }}1{{ else }}2{{ end -}}
{{- else -}}
{{- int .Values.replicaCount -}}
{{- end -}}
{{- end -}}

{{- define "mreg.waitsForSchema" -}}
{{- if and (not (include "mreg.embedded" .)) .Values.database.migrations.enabled }}true{{ end -}}
{{- end -}}

{{- /* Where programs inside the cluster reach the registry: every replica by its own address. */ -}}
{{- define "mreg.endpoint" -}}
{{- if .Values.headless.enabled -}}
{{- printf "dns:///%s-headless.%s.svc:%d" (include "mreg.fullname" .) .Release.Namespace (int .Values.server.grpcPort) -}}
{{- else -}}
{{- printf "%s.%s.svc:%d" (include "mreg.fullname" .) .Release.Namespace (int .Values.server.grpcPort) -}}
{{- end -}}
{{- end -}}

{{- /* Clients take every address but loopback for TLS. */ -}}
{{- define "mreg.insecure" -}}
{{- if not .Values.tls.existingSecret }} --insecure{{ end -}}
{{- end -}}

{{- /* What all pods of this chart have in common. */ -}}
{{- define "mreg.pod" -}}
{{- with .Values.imagePullSecrets }}
imagePullSecrets:
  {{- toYaml . | nindent 2 }}
{{- end }}
# Kubernetes would set MREG_PORT and the like for a service of that name, which the server takes for settings.
enableServiceLinks: false
securityContext:
  {{- toYaml .Values.podSecurityContext | nindent 2 }}
{{- with .Values.nodeSelector }}
nodeSelector:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .Values.tolerations }}
tolerations:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .Values.priorityClassName }}
priorityClassName: {{ . }}
{{- end }}
{{- end -}}

{{- define "mreg.container" -}}
image: {{ include "mreg.image" . | quote }}
imagePullPolicy: {{ .Values.image.pullPolicy }}
securityContext:
  {{- toYaml .Values.securityContext | nindent 2 }}
{{- end -}}
