<?php // A backend for examples/backend.ts: php -S 127.0.0.1:8000 examples/backend.php

const USERS = ['session=ann' => 'ann', 'session=bob' => 'bob'];

function decide(string $path, array $question): array
{
    $user = $question['user'] ?? '';
    if ($path === '/connect') {
        $user = USERS[$_SERVER['HTTP_COOKIE'] ?? ''] ?? null;
        return $user ? ['result' => ['user' => $user]] : ['error' => ['code' => 1001, 'message' => 'log in first']];
    }
    if ($path === '/subscribe' && $question['channel'] === 'room:staff' && $user !== 'ann') {
        return ['error' => ['code' => 1003, 'message' => 'staff only']];
    }
    if ($path === '/publish') {
        return ['result' => ['data' => ['from' => $user, 'text' => $question['data']]]];
    }
    return ['result' => new stdClass()];
}

function isSigned(string $body): bool
{
    $secret = base64_decode(substr(getenv('WEBHOOK_SECRET'), strlen('whsec_')));
    [$id, $time] = [$_SERVER['HTTP_WEBHOOK_ID'] ?? '', $_SERVER['HTTP_WEBHOOK_TIMESTAMP'] ?? ''];
    $valid = 'v1,' . base64_encode(hash_hmac('sha256', "$id.$time.$body", $secret, true));
    $given = explode(' ', $_SERVER['HTTP_WEBHOOK_SIGNATURE'] ?? '');
    return abs(time() - (int) $time) < 300 && array_filter($given, fn($each) => hash_equals($valid, $each));
}

$path = parse_url($_SERVER['REQUEST_URI'], PHP_URL_PATH);
$body = file_get_contents('php://input');
if ($path !== '/events') {
    echo json_encode(decide($path, json_decode($body, true)));
} elseif (isSigned($body)) {
    foreach (json_decode($body, true)['events'] as $event) {
        $line = [$event['type'], $event['user'] ?? '', $event['channel'] ?? ''];
        file_put_contents('php://stdout', implode(' ', $line) . "\n");
    }
} else {
    http_response_code(401);
}
