#!/usr/bin/env dash
#
# This file is part of OctoNAS.
#
# @license   https://www.gnu.org/licenses/gpl.html GPL Version 3 or later

set -e

. /usr/share/openmediavault/scripts/helper-functions

########################################################################
# Update the configuration.
# <config>
#   <services>
#     <octonas>
#       <id>the identity of this NAS, written into the claim of each base</id>
#       <bases>
#         <item>
#           <uuid>xxx</uuid>
#           <mntentref>xxx</mntentref>
#           <reldirpath>octonas/</reldirpath>
#         </item>
#       </bases>
#       <experiments>
#         <item>
#           <uuid>xxx</uuid>
#           <id>xxx</id>
#           <code>eco-2026</code>
#           <path>/srv/xxx/octonas/eco-2026</path>
#           <sharedfolderref>xxx</sharedfolderref>
#           <readonly>0|1</readonly>
#           <sftp>0|1</sftp>
#           <rsync>0|1</rsync>
#           <writers>alice,bob</writers>
#           <readers>carol</readers>
#         </item>
#       </experiments>
#       <sources>
#         <item>
#           <uuid>xxx</uuid>
#           <id>the id of its experiment</id>
#           <code>eco-2026</code>
#           <source>plc-c1</source>
#           <account>octsrc-0123456789</account>
#           <path>landing/plc-c1</path>
#           <readonly>0|1</readonly>
#           <keys>lines of authorized_keys</keys>
#         </item>
#       </sources>
#       <unit>
#         <organisation>xxx</organisation>
#         <ror>https://ror.org/xxx</ror>
#         <language>fr|en</language>
#         <layout>climate-chamber</layout>
#         <licence>etalab-2.0</licence>
#         <years>0..100</years>
#         <base>/srv/xxx/octonas</base>
#         <smb>0|1</smb>
#         <sftp>0|1</sftp>
#         <rsync>0|1</rsync>
#         <ftp>0|1</ftp>
#         <rsyncd>0|1</rsyncd>
#         <contact>xxx@example.org</contact>
#         <mail>0|1</mail>
#         <night>0..23</night>
#       </unit>
#     </octonas>
#   </services>
# </config>
########################################################################
if ! omv_config_exists "/config/services/octonas"; then
	omv-confdbadm read --defaults "conf.service.octonas" | \
		jq --arg id "$(omv_uuid)" '.id = $id' | \
		omv-confdbadm update "conf.service.octonas" -
fi

exit 0
