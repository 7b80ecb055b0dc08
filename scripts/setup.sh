#!/usr/bin/env bash
# Installs the system packages that are missing: `setup.sh run` for building and running, `setup.sh test` for tests too.
# Quick and silent when there is nothing to do.
set -euo pipefail

what=${1:-run}

# command or file that proves it -> Debian package
needs=(
  "cc:gcc"
  "make:make"
  "pkg-config:pkg-config"
  "/usr/include/openssl/ssl.h:libssl-dev"
  "/usr/include/opus/opus.h:libopus-dev"
  "ffmpeg:ffmpeg"
  "/usr/share/fonts/truetype/dejavu/DejaVuSansMono.ttf:fonts-dejavu-core"
)
# Their headers lie where the architecture says.
for library in libavcodec libavutil libswresample; do
  pkg-config --exists "$library" 2>/dev/null || needs+=("/nowhere/$library:$library-dev")
done
if [ "$what" = test ]; then
  needs+=("openssl:openssl" "c++:g++" "chromium:chromium" "python3:python3" "ip:iproute2" "nsenter:util-linux")
  # Its tests are skipped where there is none; other systems have it as a snap, which cannot be driven.
  grep -qx 'ID=debian' /etc/os-release 2>/dev/null && needs+=("firefox-esr:firefox-esr")
  # Foreign publishers.
  needs+=("/usr/lib/python3/dist-packages/aiortc/__init__.py:python3-aiortc" "gst-launch-1.0:gstreamer1.0-tools")
  needs+=("obs:obs-studio" "Xvfb:xvfb" "/usr/share/doc/python3-venv:python3-venv")
  for element in videotestsrc:base flvmux:good srtsink:bad x264enc:ugly avenc_aac:libav; do
    package=${element#*:}
    [ "$package" = libav ] || package=plugins-$package
    gst-inspect-1.0 --exists "${element%%:*}" 2>/dev/null ||
      needs+=("/nowhere/$package:gstreamer1.0-$package")
  done
fi

missing=()
for need in "${needs[@]}"; do
  proof=${need%%:*} package=${need#*:}
  case $proof in
    /*) [ -e "$proof" ] || missing+=("$package") ;;
    *) command -v "$proof" >/dev/null 2>&1 || missing+=("$package") ;;
  esac
done

if [ ${#missing[@]} -gt 0 ]; then
  line="apt-get install -y --no-install-recommends ${missing[*]}"
  if ! command -v apt-get >/dev/null 2>&1; then
    echo "Missing: ${missing[*]}. This is not Debian or Ubuntu: install them with your package manager, then try again." >&2
    exit 1
  elif [ "$(id -u)" = 0 ]; then
    as_root=()
  elif command -v sudo >/dev/null 2>&1 && sudo -n true 2>/dev/null; then
    as_root=(sudo)
  elif command -v sudo >/dev/null 2>&1 && [ -t 0 ]; then
    as_root=(sudo)
  else
    echo "Missing system packages. Run this once as root, then try again:" >&2
    echo "  apt-get update && $line" >&2
    exit 1
  fi
  echo "Installing ${missing[*]}"
  "${as_root[@]}" apt-get update -qq
  "${as_root[@]}" env DEBIAN_FRONTEND=noninteractive $line -qq >/dev/null
fi

for tool in cargo node npm; do
  if ! command -v "$tool" >/dev/null 2>&1; then
    echo "$tool is missing. Heliograph needs Rust (https://rustup.rs) and Node.js 20 or newer (https://nodejs.org)." >&2
    exit 1
  fi
done
node -e 'const [a,b]=process.versions.node.split(".").map(Number); if (a<20 || (a===20 && b<19)) { console.error(`Node.js ${process.versions.node} is too old: 20.19 or newer is needed.`); process.exit(1) }'
