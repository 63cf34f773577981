#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# A pipeline in mid-stream: the last one does not read, so that the pipes hold bytes.
ready=$1
trap 'true' USR1
seq 1 100000 | tr 0-9 a-j | { touch "$ready"; exec sleep 3600; }
