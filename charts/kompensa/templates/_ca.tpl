{{/* Certificates of authorities that operator and engine trust in addition to the system's. */}}

{{/*
The environment variable with the file; dict: root, variable. OpenSSL itself reads SSL_CERT_FILE, and ignores a file that
has no certificates. The engine's own variable is checked when the engine starts.
*/}}
{{- define "kompensa.caBundleVariable" -}}
{{- if include "kompensa.caBundleVolume" .root -}}
- {name: {{ .variable }}, value: /etc/kompensa/ca/ca.crt}
{{- end -}}
{{- end -}}

{{- define "kompensa.caBundleMount" -}}
{{- if include "kompensa.caBundleVolume" . -}}
- {name: ca, mountPath: /etc/kompensa/ca, readOnly: true}
{{- end -}}
{{- end -}}

{{- define "kompensa.caBundleVolume" -}}
{{- $bundle := .Values.caBundle -}}
{{- if and $bundle.configMap $bundle.secret -}}
{{- fail (printf "caBundle names ConfigMap %s and Secret %s: remove one of the two" $bundle.configMap $bundle.secret) -}}
{{- end -}}
{{- $items := printf "[{key: %s, path: ca.crt}]" (quote $bundle.key) -}}
{{- if $bundle.configMap -}}
- name: ca
  configMap: {name: {{ $bundle.configMap | quote }}, items: {{ $items }}}
{{- else if $bundle.secret -}}
- name: ca
  secret: {secretName: {{ $bundle.secret | quote }}, defaultMode: 0440, items: {{ $items }}}
{{- end -}}
{{- end -}}
