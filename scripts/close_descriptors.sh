# SPDX-License-Identifier: Apache-2.0
# Sourced by scripts that checkpoint what they start: what their caller has open besides the standard
# descriptors would be part of it.
for descriptor in /proc/$$/fd/*; do
  descriptor=${descriptor##*/}
  ((descriptor < 3 || descriptor == 255)) || eval "exec $descriptor>&-"  # 255 is this script
done
unset descriptor
