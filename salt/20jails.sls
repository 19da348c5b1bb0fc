# This file is part of OctoNAS.
#
# @license   https://www.gnu.org/licenses/gpl.html GPL Version 3 or later

# Who finds which experiments after logging in by SSH. 'octonas jails sync'
# makes what is missing and takes away what is too much.

configure_octonas_jails:
  file.managed:
    - name: "/etc/octonas/jails.json"
    - source:
      - salt://{{ tpldir }}/files/jails.json.j2
    - template: jinja
    - context:
        experiments: {{ salt['omv_conf.get']('conf.service.octonas.experiment') | json }}
        sources: {{ salt['omv_conf.get']('conf.service.octonas.source') | json }}
    - user: root
    - group: root
    - mode: '0600'
    - makedirs: True

sync_octonas_jails:
  cmd.run:
    - name: "/usr/bin/octonas jails sync"
    - require:
      - file: configure_octonas_jails
