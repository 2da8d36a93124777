{{/* Values, written out or checked. */}}

{{/* A setting or an id as text. YAML's numbers arrive as floats, which a template would write as 1.048576e+08. */}}
{{- define "service.setting" -}}
{{- if kindIs "string" . }}{{ . }}{{ else }}{{ toJson . }}{{ end -}}
{{- end -}}

{{/*
The name of a Secret of the user's, which has to be there: the pods would wait for it without a word. `helm template`
and a namespace that is yet to be made answer no lookup; every namespace that is there has a ServiceAccount `default`,
which also those may look up whose rights end with the namespace. dict: root, secret, value (what names it).
*/}}
{{- define "service.existingSecret" -}}
{{- $namespace := .root.Release.Namespace -}}
{{- if not (lookup "v1" "Secret" $namespace .secret) -}}
{{- if lookup "v1" "ServiceAccount" $namespace "default" -}}
{{- fail (printf "%s names Secret %s, which is not in namespace %s: create it first, or correct the name" .value .secret $namespace) -}}
{{- end -}}
{{- end -}}
{{- .secret -}}
{{- end -}}
