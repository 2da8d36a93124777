{{/* How the engine calls participants: its HTTP client, a proxy and a client certificate. */}}

{{- define "kompensa.participantVariables" -}}
- {name: KOMPENSA_HTTP_CLIENT, value: {{ .Values.engine.httpClient }}}
{{- if include "kompensa.proxyVariables" . }}
- {name: KOMPENSA_HTTP_PROXY, value: environment}
{{ include "kompensa.proxyVariables" . }}
- {name: NO_PROXY, value: {{ join "," .Values.engine.proxy.exceptions | quote }}}
{{- end }}
{{- if include "kompensa.clientCertificateVolume" . }}
- {name: KOMPENSA_TLS_CERTIFICATE_FILE, value: /etc/kompensa/client/tls.crt}
- {name: KOMPENSA_TLS_KEY_FILE, value: /etc/kompensa/client/tls.key}
{{- end }}
{{- end -}}

{{/* The URLs of the proxies, from values or from a Secret; empty for none. */}}
{{- define "kompensa.proxyVariables" -}}
{{- $proxy := .Values.engine.proxy -}}
{{- $own := $proxy.existingSecret -}}
{{- if and $own.name (or $proxy.http $proxy.https) -}}
{{- fail (printf "engine.proxy has URLs of its own and names Secret %s: remove one of the two" $own.name) -}}
{{- end -}}
{{- range $scheme := list "http" "https" }}
{{- $variable := printf "%s_PROXY" (upper $scheme) }}
{{- if and $own.name (get $own.keys $scheme) }}
{{- $secret := include "service.existingSecret" (dict "root" $ "secret" $own.name "value" "engine.proxy.existingSecret.name") }}
{{ include "service.secretVariable" (dict "variable" $variable "secret" $secret "key" (get $own.keys $scheme)) }}
{{- else if get $proxy $scheme }}
- {name: {{ $variable }}, value: {{ get $proxy $scheme | quote }}}
{{- end }}
{{- end }}
{{- end -}}

{{- define "kompensa.clientCertificateMount" -}}
{{- if include "kompensa.clientCertificateVolume" . -}}
- {name: client-certificate, mountPath: /etc/kompensa/client, readOnly: true}
{{- end -}}
{{- end -}}

{{- define "kompensa.clientCertificateVolume" -}}
{{- with .Values.engine.clientCertificate.existingSecret -}}
{{- if .name -}}
{{- $secret := include "service.existingSecret" (dict "root" $ "secret" .name "value" "engine.clientCertificate.existingSecret.name") -}}
- name: client-certificate
  secret:
    secretName: {{ $secret | quote }}
    defaultMode: 0440
    items:
    - {key: {{ .keys.certificate | quote }}, path: tls.crt}
    - {key: {{ .keys.key | quote }}, path: tls.key}
{{- end -}}
{{- end -}}
{{- end -}}
