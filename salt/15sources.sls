# This file is part of OctoNAS.
#
# @license   https://www.gnu.org/licenses/gpl.html GPL Version 3 or later

# Documentation/Howto:
# https://man.openbsd.org/sshd_config#AuthorizedKeysFile

# A source is an acquisition machine that delivers data. It has a system
# account without a password, which OpenMediaVault does not list and Samba and
# the web interface do not know; its keys are root's. Whoever is logged in as
# a source whose keys change has to log in again.

{% set group = 'octonas-sources' %}
{% set keys_dir = '/etc/octonas/keys' %}
{% set experiments = salt['omv_conf.get']('conf.service.octonas.experiment') | map(attribute='code') | list %}
{% set sources = salt['omv_conf.get']('conf.service.octonas.source') | sort(attribute='account') %}
{% set accounts = sources | map(attribute='account') | list %}

{% set gid = [] %}
{% for line in salt['file.read']('/etc/group').splitlines() if line.startswith(group ~ ':') %}
{% do gid.append(line.split(':')[2]) %}
{% endfor %}
{% set present = [] %}
{% for line in salt['file.read']('/etc/passwd').splitlines() if line.startswith('octsrc-') and line.split(':')[3] in gid %}
{% do present.append(line.split(':')[0]) %}
{% endfor %}

configure_octonas_keys:
  file.directory:
    - name: "{{ keys_dir }}"
    - user: root
    - group: root
    - mode: '0755'
    - makedirs: True

{% if not gid %}
create_octonas_sources_group:
  cmd.run:
    - name: "groupadd --system {{ group }}"
{% endif %}

{% for source in sources %}
{% if source.account not in present %}
create_octonas_source_{{ source.account }}:
  cmd.run:
    - name: "useradd --system --gid {{ group }} --no-user-group --no-create-home --home-dir /nonexistent --shell /bin/sh --password '*' --comment 'OctoNAS source' {{ source.account }}"
{% endif %}

configure_octonas_source_{{ source.account }}:
  file.managed:
    - name: "{{ keys_dir }}/{{ source.account }}"
    - source:
      - salt://{{ tpldir }}/files/source-keys.j2
    - template: jinja
    - context:
        source: {{ source | json }}
        known: {{ (source.code in experiments) | json }}
    - user: root
    - group: root
    - mode: '0644'
    - require:
      - file: configure_octonas_keys
{% if source.account in present %}

end_octonas_source_{{ source.account }}:
  cmd.run:
    - name: "pkill --signal KILL --uid {{ source.account }} || test $? = 1"
    - onchanges:
      - file: configure_octonas_source_{{ source.account }}
{% endif %}
{% endfor %}

{% for account in present if account not in accounts %}
remove_octonas_source_{{ account }}:
  file.absent:
    - name: "{{ keys_dir }}/{{ account }}"
  cmd.run:
    - name: "pkill --signal KILL --uid {{ account }}; userdel --force {{ account }}"
    - require:
      - file: remove_octonas_source_{{ account }}
{% endfor %}
