#!/usr/bin/env dash
#
# This file is part of OctoNAS.
#
# @license   https://www.gnu.org/licenses/gpl.html GPL Version 3 or later

set -e

. /usr/share/openmediavault/scripts/helper-functions

# What a unit says for all its experiments came after the first of them.
if ! omv_config_exists "/config/services/octonas/unit"; then
	omv_config_add_node "/config/services/octonas" "unit"
fi
while read -r key value; do
	if ! omv_config_exists "/config/services/octonas/unit/${key}"; then
		omv_config_add_key "/config/services/octonas/unit" "${key}" "${value}"
	fi
done <<-EOT
	organisation
	ror
	language fr
	layout minimal
	licence
	years 0
	base
	smb 1
	sftp 1
	rsync 1
	ftp 0
	rsyncd 0
	contact
	mail 0
	night 2
EOT

exit 0
