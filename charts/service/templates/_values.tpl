{{/* Values: written out, or checked. */}}

{{/* A setting or an id as text. Numbers of YAML arrive as floats, which a template would write as 1.048576e+08. */}}
{{- define "service.setting" -}}
{{- if kindIs "string" . }}{{ . }}{{ else }}{{ toJson . }}{{ end -}}
{{- end -}}

{{/* A setting as the value of a line in a Java properties file, where a backslash escapes and a line end ends it. */}}
{{- define "service.property" -}}
{{- include "service.setting" . | replace "\\" "\\\\" | replace "\n" "\\n" -}}
{{- end -}}

{{/* Text as a part of a URL. `urlquery` writes a blank as +, which is a plus sign in a user or a password. */}}
{{- define "service.urlPart" -}}
{{- . | urlquery | replace "+" "%20" -}}
{{- end -}}

{{/*
The name of a Secret of the user's. An install or upgrade fails if the Secret is missing, because the pods would wait
for it without a message. `helm template` does not look into the cluster, and the namespace may not exist
yet. Every namespace that exists has a ServiceAccount `default`, which the namespace's users may read.
dict: root, secret, value (the value that names it).
*/}}
{{- define "service.existingSecret" -}}
{{- $namespace := .root.Release.Namespace -}}
{{- if not (lookup "v1" "Secret" $namespace .secret) -}}
{{- if lookup "v1" "ServiceAccount" $namespace "default" -}}
{{- fail (printf "%s names Secret %s, which does not exist in namespace %s: create it first, or correct the name" .value .secret $namespace) -}}
{{- end -}}
{{- end -}}
{{- .secret -}}
{{- end -}}

{{/* A container's environment variable from a Secret; dict: variable, secret, key. */}}
{{- define "service.secretVariable" -}}
- name: {{ .variable }}
  valueFrom:
    secretKeyRef: {name: {{ .secret | quote }}, key: {{ .key | quote }}}
{{- end -}}
