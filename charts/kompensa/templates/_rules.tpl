{{/*
The rights of the two processes, each rule with its reason. They hold in the whole cluster or, with watchNamespaces, in
each of those namespaces. No rule has a wildcard, and no rule lets a process list or watch Secrets.
*/}}
{{- define "kompensa.operatorRules" -}}
# The objects that users write.
- apiGroups: [kompensa.dev]
  resources: [participants, sagadefinitions, sagas, outboxes, replicas]
  verbs: [get, list, watch]
- apiGroups: [kompensa.dev]
  resources: [participants/status, sagadefinitions/status, sagas/status, outboxes/status, replicas/status]
  verbs: [patch]
# A finished Saga whose ttlSecondsAfterFinished has passed.
- apiGroups: [kompensa.dev]
  resources: [sagas]
  verbs: [delete]
# The finalizer of an Outbox: its slot and its connector are removed before the object.
- apiGroups: [kompensa.dev]
  resources: [outboxes]
  verbs: [patch]
# Logins and tokens that Outboxes and Participants name.
- apiGroups: [""]
  resources: [secrets]
  verbs: [get]
  {{- with .Values.rbac.secretNames }}
  resourceNames: {{ toJson . }}
  {{- end }}
# A Replica's worker. It belongs to the Replica, so the garbage collector deletes it.
- apiGroups: [apps]
  resources: [deployments]
  verbs: [get, create, patch]
- apiGroups: [""]
  resources: [configmaps, services]
  verbs: [create, patch]
- apiGroups: [""]
  resources: [events]
  verbs: [create]
{{- end -}}

{{- define "kompensa.engineRules" -}}
# It writes the status of Sagas and reads no object: the operator sends it the sagas to run.
- apiGroups: [kompensa.dev]
  resources: [sagas/status]
  verbs: [patch]
- apiGroups: [""]
  resources: [events]
  verbs: [create]
{{- end -}}

{{/*
The rights of both in the whole cluster when watchNamespaces is set. They name no Secret and create nothing.
*/}}
{{- define "kompensa.operatorDeletionRules" -}}
# Whether a watched namespace still exists: its sagas are settled when it is gone.
- apiGroups: [""]
  resources: [namespaces]
  resourceNames: {{ toJson .Values.watchNamespaces }}
  verbs: [get]
# Capture is taken down and the finalizer removed while the namespace is being deleted.
- apiGroups: [kompensa.dev]
  resources: [outboxes]
  verbs: [get, list, watch, patch]
{{- end -}}

{{- define "kompensa.engineDeletionRules" -}}
# A Saga of a namespace that is gone is answered with 404 instead of 403, so that the engine stops writing to it.
- apiGroups: [kompensa.dev]
  resources: [sagas/status]
  verbs: [patch]
{{- end -}}
