# SPDX-License-Identifier: MPL-2.0
# shellcheck shell=sh
# lay.sh: what the files of a mesh hold, for local and setup, which source it. They set before:
#   answers       the answers file (compose/answers explains it)
#   dir           the folder of the mesh, absolute; its keys lie in $dir/keys
#   spool finnvera  the folders of files in and out, as they are reached here
#   rehearsal     true or false
#   listen reach  where the broker's door listens, and how the others reach it
#   at_directory  the directory file, as the daemons see it; likewise the folders at_keys,
#                 at_state, at_run, at_spool, at_finnvera, and at_clock, "" on the real clock
#   program       a function: program NAME ARGUMENT... runs one of our programs
#   die           a function: says why and ends

# answer MEMBER WORD: the value, or nothing; MEMBER "" means what stands before the first member.
answer() {
    awk -v member="$1" -v word="$2" '
        /^[ \t]*(#|$)/ { next }
        { key = $1; sub(/^[ \t]*[^ \t]+[ \t]*/, ""); sub(/[ \t\r]+$/, "") }
        key == "member" { now = $0; next }
        now == member && key == word { print; exit }' "$answers"
}

# members ROLE: ids of those that have it; members: of all.
members() {
    awk -v role="${1:-}" '
        $1 == "member" { id = $2; if (role == "") print id }
        $1 == "roles" { for (i = 2; i <= NF; i++) if ($i == role) print id }' "$answers"
}

# Ends with the first answer that cannot be right; the rest is the daemons' to judge (--check).
check_answers() {
    [ -r "$answers" ] || die "$answers: cannot be read"
    wrong=$(awk '
        BEGIN {
            n = split("organisation type roles national services fi sv en phone email" \
                " curve sealing signing", words)
            for (i = 1; i <= n; i++) of_member[words[i]] = 1
            n = split("region area broker broker_public", words)
            for (i = 1; i <= n; i++) of_mesh[words[i]] = 1
        }
        function bad(what) { print FILENAME ":" FNR ": " what; exit }
        /^[ \t]*(#|$)/ { next }
        NF < 2 { bad($1 ": its value is missing") }
        $1 == "member" {
            if (NF > 2 || $2 !~ /^[a-z0-9][a-z0-9-]*$/)
                bad("member " $2 ": an id is lower case, digits and hyphens")
            if (seen[$2]++) bad("member " $2 ": is there twice")
            inside = 1
            next
        }
        !inside && !($1 in of_mesh) { bad($1 ": is not known here: region, area, broker, member") }
        inside && !($1 in of_member) { bad($1 ": is not known of a member") }' "$answers")
    [ -z "$wrong" ] || die "$wrong"
    region=$(answer "" region)
    [ -n "$region" ] || die "$answers: region is missing"
}

# key KIND NAME: makes the key file unless it is there, and prints its public part.
key() {
    [ -e "$dir/keys/$2" ] || program kapula keygen "$1" "$dir/keys/$2" >/dev/null ||
        die "$dir/keys/$2 could not be made"
    sed -n 's/^public = "\(.*\)";$/\1/p' "$dir/keys/$2"
}

# public KIND MEMBER: the public key that the answers give, or that of the file made here.
public() {
    given=$(answer "$2" "$1")
    [ -n "$given" ] || given=$(key "$1" "$2.$1.key")
    [ -n "$given" ] || die "$dir/keys/$2.$1.key holds no public key: remove it to have it made anew"
    echo "$given"
}

# JSON of one text, and of a list of words.
json_text() {
    printf '"%s"' "$(printf %s "$1" | sed 's/[\\"]/\\&/g')"
}
json_list() {
    printf %s "$1" | awk '{
        gsub(/[\\"]/, "\\\\&")
        for (i = 1; i <= NF; i++) printf "%s\"%s\"", (i > 1 ? ", " : ""), $i
    }'
}

# A member's row of the directory, with its keys made.
member_row() {
    row="    {\"id\": \"$1\", \"organisation\": $(json_text "$(answer "$1" organisation)")"
    row="$row, \"type\": $(json_text "$(answer "$1" type)")"
    row="$row, \"roles\": [$(json_list "$(answer "$1" roles)")],
     \"name\": {\"fi\": $(json_text "$(answer "$1" fi)"), \"sv\": $(json_text "$(answer "$1" sv)"),"
    row="$row \"en\": $(json_text "$(answer "$1" en)")},"
    for word in phone email; do
        value=$(answer "$1" $word)
        [ -z "$value" ] || row="$row
     \"$word\": $(json_text "$value"),"
    done
    if members node | grep -qx "$1"; then
        national=false
        [ "$(answer "$1" national)" != yes ] || national=true
        sealing=$(public sealing "$1")
        signing=$(public signing "$1")
        row="$row
     \"national\": $national, \"regions\": [\"$region\"], \"languages\": [\"fi\", \"sv\", \"en\"],
     \"services\": [$(json_list "$(answer "$1" services)")],
     \"sealing\": \"$sealing\",
     \"signing\": \"$signing\","
    fi
    curve=$(public curve "$1")
    printf '%s\n     "curve": "%s"}' "$row" "$curve"
}

directory() {
    cat <<EOD
{
  "mesh": "$authority",
  "rehearsal": $rehearsal,
  "regions": [{"id": "$region", "kind": "ordinary", "area": $(json_text "$(answer "" area)")}],
  "members": [
EOD
    between=
    for id in $(members); do
        printf '%s' "$between"
        member_row "$id"
        between=',
'
    done
    printf '\n  ]\n}\n'
}

clock_line() {
    [ -z "$at_clock" ] || echo "clock = \"$at_clock\";"
}

broker_conf() {
    cat <<EOD
endpoint = "$listen";
store = "$at_state/broker";
directory = "$at_directory";
keys = "$at_keys/broker.curve.key";
authority = "$authority";
EOD
    clock_line
}

node_conf() { # MEMBER
    cat <<EOD
member = "$1";
broker = { endpoint = "$reach"; public_key = "$broker_public"; };
keys = {
    curve = "$at_keys/$1.curve.key";
    sealing = "$at_keys/$1.sealing.key";
    signing = "$at_keys/$1.signing.key";
    pseudonym = "$at_keys/pseudonym.secret";
};
directory = "$at_directory";
store = { path = "$at_state/$1"; };
local = { directory = "$at_run/$1"; };
spool = { directory = "$at_spool/$1"; };
EOD
    [ "$1" != finnvera ] || cat <<EOD
finnvera = { applications = "$at_finnvera/applications"; decisions = "$at_finnvera/decisions"; };
EOD
    clock_line
}

# How the command reaches the mesh: through a member's node, or the broker with a key of its own.
command_conf() { # MEMBER
    cat <<EOD
mesh = "$mesh";
member = "$1";
region = "$region";
directory = "$at_directory";
EOD
    if members node | grep -qx "$1"; then
        echo "endpoint = \"ipc://$at_run/$1/door\";"
    else
        cat <<EOD
endpoint = "$reach";
key = "$at_keys/$1.curve.key";
broker_public = "$broker_public";
EOD
    fi
}

# The keys that are the mesh's own; sets authority, mesh and broker_public.
mesh_keys() {
    authority=$(key authority authority.key)
    mesh=$(program kapula keygen --mesh-of "$authority")
    broker_public=$(key curve broker.curve.key)
    key secret pseudonym.secret >/dev/null
}

# The folders into which an organisation's own systems put files, and take them from.
member_folders() { # MEMBER
    mkdir -p "$spool/$1/in"
    [ "$1" != finnvera ] || mkdir -p "$finnvera/applications" "$finnvera/decisions"
}
