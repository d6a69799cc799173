# Runs a throw-away PostgreSQL until standard input closes, then removes its directory.
# Standard input is a pipe that the parent holds: it closes however the parent ends, SIGKILL included.
#   $1 directory to use and remove   $2 PostgreSQL's bin directory   the rest: options for postgres
directory=$1 bin=$2
shift 2

"$bin/initdb" -D "$directory/data" -U postgres -A trust -E UTF8 --locale=C --no-sync || {
  rm -rf "$directory"
  exit 1
}

exec 3<&0
"$bin/postgres" -D "$directory/data" -k "$directory" "$@" </dev/null 3<&- &
server=$!

# Repeated, because a signal sent before postgres has set its handlers is lost.
{
  read -r _
  while kill -QUIT "$server" 2>/dev/null; do sleep 0.2; done
} <&3 3<&- &
watch=$!

wait "$server"
kill "$watch" 2>/dev/null
rm -rf "$directory"
