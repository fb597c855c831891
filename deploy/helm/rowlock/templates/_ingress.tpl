{{/* HTTP from outside to a service of this chart, of (dict "root" $ "role" "gateway" "name" … "values" .Values.ingress). */}}
{{- define "rowlock.ingress" -}}
apiVersion: networking.k8s.io/v1
kind: Ingress
metadata:
  name: {{ .name }}
  labels:
    {{- include "rowlock.labels" . | nindent 4 }}
  {{- with .values.annotations }}
  annotations:
    {{- toYaml . | nindent 4 }}
  {{- end }}
spec:
  {{- with .values.className }}
  ingressClassName: {{ . }}
  {{- end }}
  {{- with .values.tlsSecret }}
  tls:
    - hosts: [{{ $.values.host }}]
      secretName: {{ . }}
  {{- end }}
  rules:
    - host: {{ .values.host }}
      http:
        paths:
          - path: /
            pathType: Prefix
            backend:
              service:
                name: {{ include "rowlock.name" .root }}-{{ .role }}
                port: {name: http}
{{- end }}
