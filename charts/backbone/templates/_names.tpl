{{/* Where the brokers are, seen from anywhere in the cluster. */}}
{{- define "backbone.bootstrap" -}}
{{- if .Values.kafka.enabled -}}
{{ include "service.fullname" . }}-kafka.{{ .Release.Namespace }}.svc:9092
{{- else -}}
{{- required "kafka.bootstrap is needed when kafka.enabled is false: name your brokers, host:port" .Values.kafka.bootstrap -}}
{{- end -}}
{{- end -}}

{{/* KRaft's cluster id: 16 bytes in base64, the same on every render because the volume remembers it. */}}
{{- define "backbone.clusterId" -}}
{{- printf "%s/%s" .Release.Namespace (include "service.fullname" .) | sha256sum | trunc 16 | b64enc | trimSuffix "==" -}}
{{- end -}}

{{- define "backbone.operatorLabels" -}}
app.kubernetes.io/name: kompensa
app.kubernetes.io/component: operator
{{- end -}}
