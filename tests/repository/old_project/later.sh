mkdir -p out
echo begin
sleep 3000
echo later > out/later.txt
