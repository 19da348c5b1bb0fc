# This file is part of OctoNAS.
#
# @license   https://www.gnu.org/licenses/gpl.html GPL Version 3 or later

# Documentation/Howto:
# https://man.openbsd.org/sshd_config#Match

# The rules are kept beside our configuration and put in force by a script
# that asks sshd first, so that a mistake never locks anybody out.

{% set source = '/etc/octonas/sshd.conf' %}
{% set drop_in = '/etc/ssh/sshd_config.d/octonas.conf' %}

configure_octonas_sshd:
  file.managed:
    - name: "{{ source }}"
    - source:
      - salt://{{ tpldir }}/files/sshd.conf.j2
    - template: jinja
    - user: root
    - group: root
    - mode: '0644'
    - makedirs: True

install_octonas_sshd:
  cmd.run:
    - name: "sh /srv/salt/{{ tpldir }}/files/sshd-drop-in '{{ source }}' '{{ drop_in }}'"
    - stateful: True
    - require:
      - file: configure_octonas_sshd
