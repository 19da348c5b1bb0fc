#!/usr/bin/env dash
#
# This file is part of OctoNAS.
#
# @license   https://www.gnu.org/licenses/gpl.html GPL Version 3 or later

set -e

. /usr/share/openmediavault/scripts/helper-functions

# Acquisition machines came after the first experiments.
if ! omv_config_exists "/config/services/octonas/sources"; then
	omv_config_add_node "/config/services/octonas" "sources"
fi

exit 0
