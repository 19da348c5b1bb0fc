# This file is part of OctoNAS.
#
# @license   https://www.gnu.org/licenses/gpl.html GPL Version 3 or later

# The order counts: a jail is made for an account that is there, from mounts
# that stand, and sshd sends people into jails that stand.

include:
  - .10walls
  - .15sources
  - .20jails
  - .30sshd
