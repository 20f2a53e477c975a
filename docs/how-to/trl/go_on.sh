# sh go_on.sh sft runs/sft: TRL's command, from the newest whole checkpoint where there is one.
# trainer_state.json is written last, so a folder that has it is whole.
last=$(ls -d "$2"/checkpoint-*/trainer_state.json 2>/dev/null | sort -t- -k2 -n | tail -n 1)
[ -z "$last" ] || echo "goes on from $(dirname "$last")"
exec trl "$1" --config "$1.yaml" ${last:+--resume_from_checkpoint "$(dirname "$last")"}
