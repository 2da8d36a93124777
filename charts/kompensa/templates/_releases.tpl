{{/*
Two operators that watch one namespace would undo each other's work. The Roles of a release tell where it works: those
in each namespace that this one is to watch, and all of them if it is to watch everywhere. One that watches everywhere
is not found by one that names its namespaces, whose owner need not have rights beyond them.
*/}}
{{- define "kompensa.checkReleases" -}}
{{- $ours := printf "%s in namespace %s" .Release.Name .Release.Namespace -}}
{{- range $namespace := .Values.watchNamespaces | default (list "") -}}
{{- range $kind := ternary (list "Role") (list "ClusterRole" "Role") (not (empty $namespace)) -}}
{{- range (lookup "rbac.authorization.k8s.io/v1" $kind $namespace "").items -}}
{{- $labels := .metadata.labels | default dict -}}
{{- $annotations := .metadata.annotations | default dict -}}
{{- $theirs := printf "%s in namespace %s" (get $annotations "meta.helm.sh/release-name") (get $annotations "meta.helm.sh/release-namespace") -}}
{{- $operator := and (eq (get $labels "app.kubernetes.io/name") "kompensa") (eq (get $labels "app.kubernetes.io/component") "operator") -}}
{{- if and $operator (not (hasSuffix "-lease" .metadata.name)) (ne $theirs $ours) -}}
{{- $place := .metadata.namespace | default "all namespaces" -}}
{{- fail (printf "release %s works in %s already, by its %s %s, and this one would too: name other namespaces in watchNamespaces of one or both" $theirs $place $kind .metadata.name) -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- end -}}
