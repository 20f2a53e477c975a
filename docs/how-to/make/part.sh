# sh part.sh NUMBER FILE: ten steps of one part.
set -e
for step in 1 2 3 4 5 6 7 8 9 10; do
    sleep 0.1
    echo "step $((($1 - 1) * 10 + step))/60"
done
echo "part $1" > "$2"
