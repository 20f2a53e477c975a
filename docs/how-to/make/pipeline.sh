# With pipefail a member that fails fails the job; without it only the last one counts.
set -euo pipefail
mkdir -p logs
seq 1 20 | while read -r step; do
    sleep 0.05
    echo "step $step/20"
done | tee logs/pipeline.tmp
mv logs/pipeline.tmp logs/pipeline.txt
