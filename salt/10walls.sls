# This file is part of OctoNAS.
#
# @license   https://www.gnu.org/licenses/gpl.html GPL Version 3 or later

# Documentation/Howto:
# https://www.freedesktop.org/software/systemd/man/systemd.mount.html

# One mount unit per experiment, which mounts its directory on itself. The
# file name of a unit is given by its path, so our units are recognised by
# their section '[X-OctoNAS]'. A mount that is up is never restarted here:
# 'octonas' remounts it when an experiment is closed or opened again.
#
# A disk may be mounted long after boot, by anybody: 'octonas-walls@.target'
# is upheld by its mount unit and wants the walls of its experiments.

{% set units_dir = '/etc/systemd/system' %}
{% set wanted_by = ['multi-user.target.wants', 'octonas-walls.target.wants'] %}
{% set experiments = salt['omv_conf.get']('conf.service.octonas.experiment') | sort(attribute='code') %}
{% set disks = salt['omv_conf.get']('conf.system.filesystem.mountpoint') | map(attribute='dir') | sort %}

# Field 5 is the mount point, see proc_pid_mountinfo(5).
{% set mounted = [] %}
{% for line in salt['file.read']('/proc/self/mountinfo').splitlines() %}
{% do mounted.append(line.split(' ')[4] | replace('\\040', ' ')) %}
{% endfor %}

{% set units = [] %}
{% if experiments %}
{% set units = salt['cmd.run_stdout'](['systemd-escape', '--path', '--suffix=mount'] + experiments | map(attribute='path') | list, python_shell=False).split() %}
{% endif %}

{# The disk of each experiment, '' where it is on none that OpenMediaVault knows; and the target of each disk. #}
{% set disk_of = {} %}
{% for experiment in experiments %}
{% set disk = [''] %}
{% for dir in disks if experiment.path.startswith(dir.rstrip('/') ~ '/') and dir | length > disk[0] | length %}
{% do disk.insert(0, dir) %}
{% endfor %}
{% do disk_of.update({experiment.code: disk[0]}) %}
{% endfor %}
{% set target_of = {} %}
{% set used = [] %}
{% for dir in disk_of.values() | sort %}
{% if dir and dir not in used %}
{% do used.append(dir) %}
{% endif %}
{% endfor %}
{% if used %}
{% set names = salt['cmd.run_stdout'](['systemd-escape', '--path'] + used, python_shell=False).split() %}
{% for dir in used %}
{% do target_of.update({dir: names[loop.index0]}) %}
{% do wanted_by.append('octonas-walls@' ~ names[loop.index0] ~ '.target.wants') %}
{% endfor %}
{% endif %}

{% set enabled = {} %}
{% for dir in wanted_by %}
{% do enabled.update({dir: salt['file.readdir'](units_dir ~ '/' ~ dir) if salt['file.directory_exists'](units_dir ~ '/' ~ dir) else []}) %}
{% endfor %}

{% set changes = [] %}
{% set enable = [] %}
{% set start = [] %}

{% for experiment in experiments %}
{% set unit = units[loop.index0] %}
{% set disk = disk_of[experiment.code] %}
{% set target = 'octonas-walls@' ~ target_of[disk] ~ '.target' if disk else '' %}

configure_octonas_wall_{{ experiment.code }}:
  file.managed:
    - name: {{ (units_dir ~ '/' ~ unit) | yaml_dquote }}
    - source:
      - salt://{{ tpldir }}/files/experiment.mount.j2
    - template: jinja
    - context:
        experiment: {{ experiment | json }}
        disk: {{ disk | json }}
        disk_unit: {{ (target_of[disk] ~ '.mount' if disk else '') | json }}
        disk_target: {{ target | json }}
    - user: root
    - group: root
    - mode: '0644'
{% do changes.append('configure_octonas_wall_' ~ experiment.code) %}

{% for dir in wanted_by[:2] + ([target ~ '.wants'] if disk else []) if unit not in enabled[dir] and unit not in enable %}
{% do enable.append(unit) %}
{% endfor %}

{% if experiment.path not in mounted %}
{% if disk and disk not in mounted %}
octonas_wall_{{ experiment.code }}_waits:
  test.show_notification:
    - text: {{ ('The experiment ' ~ experiment.code ~ ' is not mounted: its file system ' ~ disk ~ ' is not.') | yaml_dquote }}
{% elif not salt['file.directory_exists'](experiment.path) %}
octonas_wall_{{ experiment.code }}_waits:
  test.show_notification:
    - text: {{ ('The experiment ' ~ experiment.code ~ ' is not mounted: there is no directory ' ~ experiment.path ~ '.') | yaml_dquote }}
{% else %}
{% do start.append(unit) %}
{% endif %}
{% endif %}
{% endfor %}

{# The targets of disks: one that nobody wants does nothing, and goes. #}
{% set start_targets = [] %}
{% for dir in used %}
{% set target = 'octonas-walls@' ~ target_of[dir] ~ '.target' %}
{% set upheld_by = units_dir ~ '/' ~ target_of[dir] ~ '.mount.upholds' %}
{% if not salt['file.directory_exists'](upheld_by) or target not in salt['file.readdir'](upheld_by) %}
{% do enable.append(target) %}
{% if dir in mounted %}
{% do start_targets.append(target) %}
{% endif %}
{% endif %}
{% endfor %}
{% set upheld = salt['cmd.run_stdout'](['find', units_dir, '-mindepth', '2', '-maxdepth', '2', '-path', '*.mount.upholds/octonas-walls@*.target'], python_shell=False).splitlines() %}
{% for file in upheld | sort %}
{% set target = file.split('/') | last %}
{% if target | replace('octonas-walls@', '') | replace('.target', '') not in target_of.values() %}

disable_octonas_disk_{{ loop.index }}:
  cmd.run:
    - name: {{ ("systemctl disable --no-reload --quiet '" ~ target ~ "'") | yaml_dquote }}
{% endif %}
{% endfor %}

{% set present = salt['cmd.run_stdout'](['grep', '-rlsxF', '--include=*.mount', '[X-OctoNAS]', units_dir], python_shell=False, ignore_retcode=True).splitlines() %}
{% for file in present | sort if file.split('/') | last not in units %}
{% set unit = file.split('/') | last %}
{% set path = salt['cmd.run_stdout'](['systemd-escape', '--path', '--unescape', unit | replace('.mount', '')], python_shell=False) %}

# Whoever is still inside keeps what is open; the path is free.
stop_octonas_wall_{{ loop.index }}:
  cmd.run:
    - name: {{ ("systemctl disable --now --no-reload --quiet '" ~ unit ~ "'; ! mountpoint --quiet -- '" ~ path ~ "' || umount --lazy -- '" ~ path ~ "'") | yaml_dquote }}

remove_octonas_wall_{{ loop.index }}:
  file.absent:
    - name: {{ file | yaml_dquote }}
    - require:
      - cmd: stop_octonas_wall_{{ loop.index }}
{% do changes.append('remove_octonas_wall_' ~ loop.index) %}
{% endfor %}

{% if enable %}
enable_octonas_walls:
  cmd.run:
    - name: {{ ("systemctl enable --no-reload --quiet '" ~ enable | join("' '") ~ "'") | yaml_dquote }}
{% endif %}

{% if changes or enable %}
octonas_walls_systemctl_daemon_reload:
  module.run:
    - service.systemctl_reload:
    - onchanges:
{% for id in changes %}
      - file: {{ id }}
{% endfor %}
{% if enable %}
      - cmd: enable_octonas_walls
{% endif %}
{% endif %}

# All in one call: one that fails does not keep the others from starting.
{% if start %}
start_octonas_walls:
  cmd.run:
    - name: {{ ("systemctl start '" ~ start | join("' '") ~ "'") | yaml_dquote }}
{% endif %}

# A disk that comes later starts its target by itself.
{% if start_targets %}
start_octonas_disks:
  cmd.run:
    - name: {{ ("systemctl start --no-block '" ~ start_targets | join("' '") ~ "'") | yaml_dquote }}
{% endif %}
