{{/*
Certificates of authorities that operator and engine trust. OpenSSL reads the file that SSL_CERT_FILE names in addition
to the system's folder of certificates.
*/}}

{{- define "kompensa.caBundleVariable" -}}
{{- if include "kompensa.caBundleVolume" . -}}
- {name: SSL_CERT_FILE, value: /etc/kompensa/ca/ca.crt}
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
