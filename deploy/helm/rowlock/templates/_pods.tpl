{{/* What every pod keeps to. */}}
{{- define "rowlock.podSecurity" -}}
automountServiceAccountToken: false
enableServiceLinks: false
securityContext:
  runAsNonRoot: true
  runAsUser: 10001
  runAsGroup: 10001
  fsGroup: 10001
  seccompProfile:
    type: RuntimeDefault
{{- end }}

{{- define "rowlock.containerSecurity" -}}
securityContext:
  allowPrivilegeEscalation: false
  readOnlyRootFilesystem: true
  capabilities:
    drop: [ALL]
{{- end }}

{{/* Spread over nodes; of (dict "root" $ "role" "api"). */}}
{{- define "rowlock.spread" -}}
topologySpreadConstraints:
  - maxSkew: 1
    topologyKey: kubernetes.io/hostname
    whenUnsatisfiable: ScheduleAnyway
    labelSelector:
      matchLabels:
        {{- include "rowlock.selector" . | nindent 8 }}
{{- end }}

{{/* Settings that are no secrets, of (dict "settings" … "more" …): the role's win over those of all. */}}
{{- define "rowlock.plainSettings" -}}
{{- range $name, $value := merge (dict) .more .settings }}
{{- if ne (toString $value) "" }}
- name: {{ $name }}
  value: {{ $value | toString | quote }}
{{- end }}
{{- end }}
{{- end }}

{{/* The environment of a Python program; of (dict "root" $ "more" (dict of settings)). */}}
{{- define "rowlock.environment" -}}
- name: ROWLOCK_DATABASE_URL
  valueFrom:
    secretKeyRef:
      name: {{ .root.Values.database.existingSecret }}
      key: {{ .databaseKey | default .root.Values.database.key }}
- name: ROWLOCK_REDIS_URL
  valueFrom:
    secretKeyRef:
      name: {{ .root.Values.redis.existingSecret }}
      key: {{ .root.Values.redis.key }}
- name: ROWLOCK_JWT_PRIVATE_KEY_FILE
  value: /etc/rowlock/signing/{{ .root.Values.signingKey.key }}
{{- if .root.Values.tls.existingSecret }}
- name: ROWLOCK_TLS_CERT_FILE
  value: /etc/rowlock/tls/tls.crt
- name: ROWLOCK_TLS_KEY_FILE
  value: /etc/rowlock/tls/tls.key
{{- end }}
{{- include "rowlock.plainSettings" (dict "settings" .root.Values.settings "more" .more) }}
{{- range .root.Values.secretSettings }}
- name: {{ .name }}
  valueFrom:
    secretKeyRef:
      name: {{ .secret }}
      key: {{ .key }}
{{- end }}
{{- end }}

{{- define "rowlock.mounts" -}}
- {name: signing-key, mountPath: /etc/rowlock/signing, readOnly: true}
- {name: data, mountPath: /var/lib/rowlock}
- {name: tmp, mountPath: /tmp}
{{- if .Values.tls.existingSecret }}
- {name: tls, mountPath: /etc/rowlock/tls, readOnly: true}
{{- end }}
{{- end }}

{{- define "rowlock.volumes" -}}
- name: signing-key
  secret:
    secretName: {{ .Values.signingKey.existingSecret }}
    defaultMode: 0440
- name: data
  emptyDir: {}
- name: tmp
  emptyDir: {}
{{- if .Values.tls.existingSecret }}
- name: tls
  secret:
    secretName: {{ .Values.tls.existingSecret }}
    defaultMode: 0440
{{- end }}
{{- end }}
