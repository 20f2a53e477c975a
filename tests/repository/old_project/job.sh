set -e
mkdir -p out
cp in.txt out/copy.txt
echo '{"ok": true}' > out/result.json
